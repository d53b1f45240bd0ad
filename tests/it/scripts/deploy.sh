#!/bin/sh
# Deploys. However many jobs call it at once, one runs at a time: the script takes the lock by
# starting itself again under it.
#
#   deploy.sh COUNTER LOG
set -eu
[ "${DEPLOYING-}" = "$0" ] || exec env DEPLOYING="$0" plandex exec --wait 10m -- "$0" "$@"

counter=$1 log=$2
echo begin >>"$log"
# Read, then write: two deploys at once would lose one of the two.
read -r number <"$counter"
echo $((number + 1)) >"$counter"
echo end >>"$log"
