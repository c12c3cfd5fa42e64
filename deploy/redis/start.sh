#!/bin/sh
# Starts Redis with redis.conf, users.conf and the environment variables below: start.sh [arguments of redis-server]
#
#   REDIS_PASSWORD     password of the user couplet; required
#   REDIS_PREFIX       same value as on the nodes; the user has no access to other keys
#   REDIS_APPENDFSYNC  always (default): a failure loses no confirmed write. everysec: up to a second of writes. no: up to half a
#                      minute of writes
#   REDIS_MAXMEMORY    default 1gb; when it is full, Couplet responds with 503
#
# Used by docker-compose.cluster.yml; docs/cluster.md shows how to compute the memory.
set -eu
umask 077

folder=$(cd "$(dirname "$0")" && pwd)
[ -n "${REDIS_PASSWORD:-}" ] || { echo 'REDIS_PASSWORD: required to start Redis' >&2; exit 78; }
case ${REDIS_PREFIX:=couplet:} in
  *[!A-Za-z0-9:._-]*) echo 'REDIS_PREFIX: only A-Z a-z 0-9 : . _ - are allowed' >&2; exit 78 ;;
esac

# Redis gets only the digest, on its standard input, so the password is on no disk and no command line.
digest=$(printf '%s' "$REDIS_PASSWORD" | sha256sum | cut -d ' ' -f 1)
users=$(sed "s/PASSWORD/$digest/; s/\([~&]\)couplet:/\1$REDIS_PREFIX/g" "$folder/users.conf")

exec redis-server - "$@" <<END
include $folder/redis.conf
$users
appendfsync ${REDIS_APPENDFSYNC:-always}
maxmemory ${REDIS_MAXMEMORY:-1gb}
END
