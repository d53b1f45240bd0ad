#!/bin/sh
# Runs a command under the lock without standing in line: tries again while somebody else has it.
# 200 says "not acquired", so that a command that exits 75 itself is not run twice.
#
#   TRIES=20 PAUSE=1 retry.sh COMMAND…
set -u
tries=${TRIES-20}
while :; do
    plandex exec --no-wait -E 200 -- "$@"
    code=$?
    [ "$code" -eq 200 ] || exit "$code"
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || exit 75
    sleep "${PAUSE-1}"
done
