#!/bin/sh
# Starts coturn with turnserver.conf and settings from the environment: start.sh [secret|static] [--or-idle] [--allow-loopback]
#
#   secret            (default) time-limited credentials from TURN_SECRET
#   static            the single user of TURN_STATIC_USER, on separate ports: for app versions with a fixed password
#   --or-idle         without TURN_SECRET, prints a message and waits, so that a supervisor does not restart it repeatedly
#   --allow-loopback  development only: allows peers on this machine
#
# docs/operations.md describes the variables, which `.env` also has. Used by docker-compose.yml and `npm run turn`.
set -eu
umask 077

mode=secret
loopback=no
idle=no
for argument; do
  case $argument in
    secret | static) mode=$argument ;;
    --or-idle) idle=yes ;;
    --allow-loopback) loopback=yes ;;
    *) echo "start.sh: unexpected argument: $argument" >&2; exit 64 ;;
  esac
done

# An empty variable counts as unset. So does an address like tcp://10.96.0.10:3478: Kubernetes sets TURN_PORT to that in the
# namespace of a Service named `turn`, and likewise for other names.
for name in $(env | sed -n 's/^\(TURN_[A-Z_]*\)=.*/\1/p'); do
  eval "value=\$$name"
  case $name,$value in
    *_PORT,tcp://* | *_PORT,udp://* | *_PORT,sctp://*) unset "$name" ;;
    *,*[![:space:]]*) ;;
    *) unset "$name" ;;
  esac
done

# Fails if a required variable is missing. Otherwise coturn would refuse all clients or, worse, use an old configuration.
need() {
  eval "value=\${$1:-}"
  [ -n "$value" ] || { echo "$1: required to start coturn; see .env.example" >&2; exit 78; }
}

if [ "$idle" = yes ] && [ "$mode" = secret ] && [ -z "${TURN_SECRET:-}" ]; then
  echo 'TURN_SECRET is not set, so no TURN server runs; see .env.example' >&2
  exec sleep infinity
fi

# Secrets go into a file that only coturn can read, because every user of the machine can see the command line.
folder=$(mktemp -d)
# Runs only if this script fails. Otherwise coturn replaces the script and needs the file.
trap 'rm -rf "$folder"' EXIT
conf=$folder/turnserver.conf
cat "$(dirname "$0")/turnserver.conf" >"$conf"
say() { printf '%s\n' "$1" >>"$conf"; }
# say_each KEY "a,b": writes one line per value
say_each() {
  rest=$2,
  while [ -n "$rest" ]; do
    item=$(printf '%s' "${rest%%,*}" | tr -d ' ')
    [ -z "$item" ] || say "$1=$item"
    rest=${rest#*,}
  done
}

say ''
say "# From the environment: $mode"
say "realm=${TURN_REALM:-couplet}"
# An empty database, so that users in /var/lib/turn get no access. It is in memory, one for each thread. With a new file,
# coturn's threads block each other while they create their tables. Requests then get 401 despite valid credentials, and
# browsers do not retry.
say "userdb=:memory:"
say "pidfile=$folder/turnserver.pid"
say_each listening-ip "${TURN_LISTEN_IPS:-}"
case $(printf '%s' "${TURN_VERBOSE:-0}" | tr '[:upper:]' '[:lower:]') in 1 | true | yes | on) say verbose ;; esac
say_each allowed-peer-ip "${TURN_ALLOWED_PEERS:-}"
say_each external-ip "${TURN_EXTERNAL_IP:-}"
# Two clients that both need the relay meet at coturn's own public address. coturn translates it to its private address
# before it checks whether that may be a peer. Without this line both clients would get 403.
for mapping in $(printf '%s' "${TURN_EXTERNAL_IP:-}" | tr ',' ' '); do
  case $mapping in
    */*) say "allowed-peer-ip=${mapping#*/}" ;;
    *) echo "TURN_EXTERNAL_IP: must be public/private, got $mapping" >&2; exit 78 ;;
  esac
done
if [ "$mode" = secret ]; then
  need TURN_SECRET
  say use-auth-secret
  say_each static-auth-secret "$TURN_SECRET"
  port=${TURN_PORT:-3478} tls_port=${TURN_TLS_PORT:-5349}
  min_port=${TURN_MIN_PORT:-49152} max_port=${TURN_MAX_PORT:-65535}
else
  need TURN_STATIC_USER
  say lt-cred-mech
  say "user=$TURN_STATIC_USER"
  # All devices share this user, so a quota by user would limit all of them together.
  say user-quota=0
  port=${TURN_STATIC_PORT:-3479} tls_port=${TURN_STATIC_TLS_PORT:-5350}
  min_port=${TURN_STATIC_MIN_PORT:-48128} max_port=${TURN_STATIC_MAX_PORT:-49151}
fi
say "listening-port=$port"
say "min-port=$min_port"
say "max-port=$max_port"
case ${TURN_TLS_CERT:-} in
  '' | elsewhere) say no-tls ;;
  *)
    need TURN_TLS_KEY
    for file in "$TURN_TLS_CERT" "$TURN_TLS_KEY"; do
      [ -r "$file" ] || { echo "TURN_TLS_CERT, TURN_TLS_KEY: cannot read $file" >&2; exit 78; }
    done
    say "tls-listening-port=$tls_port"
    say "cert=$TURN_TLS_CERT"
    say "pkey=$TURN_TLS_KEY"
    ;;
esac
if [ "$loopback" = yes ]; then
  say allow-loopback-peers
  say allowed-peer-ip=127.0.0.0-127.255.255.255
  say allowed-peer-ip=::1
fi

exec turnserver -c "$conf"
