#!/bin/sh
# Two readers of one branch work together: each waits until the other has begun.
#
#   readers.sh DIRECTORY
set -eu
cd "$1"
mkfifo left right
plandex exec --read --wait 10m -c 'echo here >left; read -r word <right' &
plandex exec --read --wait 10m -c 'read -r word <left; echo here >right'
wait $!
