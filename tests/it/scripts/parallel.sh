#!/bin/sh
# Fifty jobs, eight at a time, each of which adds one to a number in a file in two steps.
#
#   parallel.sh COUNTER
set -eu
counter=$1
echo 0 >"$counter"
export counter
seq 50 | xargs -P 8 -I '{}' plandex exec --wait 10m -c '
    read -r number <"$counter"
    echo $((number + 1)) >"$counter"
'
