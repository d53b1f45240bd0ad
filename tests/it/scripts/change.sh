#!/bin/sh
# One change from words to files, as one unit: nobody else's comes between its tell and its apply.
# The plandex commands inside join the turn of the one around them.
#
#   change.sh MESSAGE DIFF
set -eu
if [ "${1-}" != --held ]; then
    exec plandex exec --wait 10m -- "$0" --held "$@"
fi
message=$2 diff=$3
plandex tell -f "$message"
plandex diff >"$diff"
plandex apply --yes
