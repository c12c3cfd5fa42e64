#!/bin/sh
# Starts Redis with redis.conf, users.conf and what the environment says: start.sh [arguments of redis-server]
#
#   REDIS_PASSWORD     of the user couplet; needed
#   REDIS_PREFIX       as on the nodes; what begins otherwise is out of reach
#   REDIS_APPENDFSYNC  always (default): nothing that was answered is lost. everysec: up to a second of it. no: up to half a minute
#   REDIS_MAXMEMORY    default 1gb; what is beyond is answered 503
#
# Used by docker-compose.cluster.yml; docs/cluster.md has the arithmetic.
set -eu
umask 077

folder=$(cd "$(dirname "$0")" && pwd)
[ -n "${REDIS_PASSWORD:-}" ] || { echo 'REDIS_PASSWORD: needed to start Redis' >&2; exit 78; }
case ${REDIS_PREFIX:=couplet:} in
  *[!A-Za-z0-9:._-]*) echo 'REDIS_PREFIX: may have A-Z a-z 0-9 : . _ - only' >&2; exit 78 ;;
esac

# Redis is told the digest alone, and reads it on its standard input: no password is on a disk or a command line.
digest=$(printf '%s' "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)
users=$(sed "s/PASSWORD/$digest/; s/\([~&]\)couplet:/\1$REDIS_PREFIX/g" "$folder/users.conf")

exec redis-server - "$@" <<END
include $folder/redis.conf
$users
appendfsync ${REDIS_APPENDFSYNC:-always}
maxmemory ${REDIS_MAXMEMORY:-1gb}
END
