#!/bin/sh
# A script of which only the middle is done under the lock.
#
#   section.sh FILE
set -eu
file=$1
export file
echo "outside" >>"$file"
plandex exec --wait 10m --shell <<'LOCKED'
set -eu
echo "begin" >>"$file"
echo "end" >>"$file"
LOCKED
echo "outside" >>"$file"
