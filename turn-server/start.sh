#!/bin/sh
# Starts coturn with the operator's credential; without one it does not start. TURNSERVER_CONF names the settings.
set -eu

refuse() {
  echo "coturn: $1; see .env.example" >&2
  exit 1
}

[ -n "${TURN_USERNAME:-}" ] || refuse 'TURN_USERNAME is not set'
[ "$(printf %s "${TURN_PASSWORD:-}" | wc -c)" -ge 16 ] || refuse 'TURN_PASSWORD has fewer than 16 characters'
case "$TURN_USERNAME$TURN_PASSWORD" in
  *[!A-Za-z0-9._-]*) refuse 'TURN_USERNAME and TURN_PASSWORD take letters, digits, ".", "_" and "-"' ;;
esac

# Into a file that only this user reads: on a command line, everyone on the machine sees it.
umask 077
settings=$(mktemp)
{
  cat "${TURNSERVER_CONF:-/etc/coturn/turnserver.conf}"
  echo
  echo "user=$TURN_USERNAME:$TURN_PASSWORD"
  echo "realm=${TURN_REALM:-couplet}"
  [ -z "${TURN_EXTERNAL_IP:-}" ] || echo "external-ip=$TURN_EXTERNAL_IP"
} >"$settings"
exec turnserver -c "$settings" "$@"
