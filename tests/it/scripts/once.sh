#!/bin/sh
# For cron: does nothing, successfully, while the last one is still at it.
#
#   once.sh COMMAND…
exec plandex exec --quiet --no-wait -E 0 -- "$@"
