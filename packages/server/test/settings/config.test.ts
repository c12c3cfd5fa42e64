// Parsing of the environment: defaults, accepted forms, settings that need each other, and the report of all faults.
import { expect, test } from 'vitest';
import { ConfigError, parseConfig, SETTINGS } from '../../src/settings/config.js';

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    parseConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

/** The variables of a text such as `PORT=1 & HOST=a`. */
const envOf = (text: string): Record<string, string> =>
  Object.fromEntries(text.split(' & ').map((each) => each.split(/=(.*)/s, 2)));

const namesOf = (env: Record<string, string>) =>
  faultsOf(env).map((fault) => fault.split(':', 1)[0]);

const SECRET = 'sixteen-chars-at-least';
const WHSEC = `whsec_${'A'.repeat(32)}`;
const TURN = `TURN_SECRET=${SECRET} & TURN_URLS=turn:turn.example.org`;
const CERT = 'TURN_TLS_CERT=/c.pem & TURN_TLS_KEY=/k.pem';
const PROVIDER = 'ICE_SERVERS_URL=https://api.example.net/turn?apiKey=a-key';

/** The settings that others depend on. With them, a test needs only one further setting. */
const COMPLETE = envOf(
  `${TURN} & TURN_TLS_CERT=elsewhere & ${PROVIDER} & PUSH_WEBHOOK_URL=http://a & PUSH_WEBHOOK_SECRET=${WHSEC}`,
);

/** Lines of a variable and some values for it. */
const valuesOf = (table: string): [string, string][] =>
  table
    .trim()
    .split('\n')
    .flatMap((line) => {
      const [, name = '', values = ''] = /^ *(\w+): (.*)$/.exec(line) ?? [];
      return values.split(' | ').map((value): [string, string] => [name, value]);
    });

test.each(
  valuesOf(`
    USE_SQLITE: 1 | true | TRUE | yes | on |  1 | 0 | No | off
    TURN_URLS: turn:turn.example.org:3478 | turn:turn.example.org:3478?transport=udp | turn:localhost
    TURN_URLS: turn:192.0.2.1:65535?transport=tcp | turn:[2001:db8::1]:3478 | turns:a.example
    TURN_URLS: turn:a.example, turn:b.example ,turn:c.example
    STUN_URLS: stun:stun.example.org | stuns:stun.example.org:5349 | stun:[::1]
    TURN_LISTEN_IPS: 10.0.0.4,fd00::4
    TURN_EXTERNAL_IP: 8.8.4.4/10.0.0.4,2606:4700::1/fd00::4
    TURN_ALLOWED_PEERS: 10.1.0.0-10.1.0.255,fd00::1
    TURN_MIN_PORT: 48000
    ICE_SERVERS_URL: http://127.0.0.1:8000/turn | http://[::1]:8000 | http://localhost
    ICE_SERVERS_TOKEN: user:pass:word
    ICE_SERVERS_BODY: Ttl=3600
    ICE_SERVERS_METHOD: GET
    FCM_SERVICE_ACCOUNT: {"type": "service_account",\\n "project_id": "p"}
    TRUST_PROXY: 0 | 2 | loopback | 10.0.0.0/8, fd00::/8 | 192.0.2.1
    WEB_PUSH_HOSTS: push.example.org:8443, *.example.net`),
)('%s accepts %s', (name, value) => {
  expect(faultsOf({ ...COMPLETE, [name]: value })).toEqual([]);
});

test.each(
  valuesOf(`
    USE_SQLITE: 2 | constructor | __proto__
    PORT: -1 | 65536 | 80.5 | 0x50 | 1e3 | http | 99999999999999999999 | tcp://10.96.0.10:3478
    HEARTBEAT_SECONDS: 0
    ROOM_IDLE_DAYS: 36501
    MAX_WAITING_CHECKS: -5
    LOG_LEVEL: loud | INFO INFO
    LOG_FORMAT: xml
    ADMIN_TOKEN: short
    TRUST_PROXY: abc | 10.0.0.0/99 | 1.2.3.4.5 | ::1, fe
    TURN_URLS: turn.example.org | stun:turn.example.org | turn://turn.example.org | turn:a.example:0
    TURN_URLS: turn:a.example:65536 | turn:a.example?transport=sctp | turn:a.example/path | turn:
    TURN_URLS: turn:user@a.example | turn:2001:db8::1 | turn:[2001:db8::1::] | TURN:a.example
    TURN_URLS: turn:a.example,,turn:b.example | turns:a.example?transport=udp
    STUN_URLS: turn:a.example | stun:a.example?transport=udp | stun: | stun://a.example
    STUN_URLS: stun:a.example:99999 | stun:[::::]
    TURN_SECRET: short | sixteen # chars "at least | ${SECRET},short | ${SECRET},${SECRET},${SECRET}
    TURN_TTL_SECONDS: 59 | 86401 | 1h
    TURN_LISTEN_IPS: 10.0.0.256
    TURN_EXTERNAL_IP: 8.8.4.4/10.0.0.256 | 8.8.4.4/fd00::1 | 198.51.100.7 | a.example/10.0.0.4 | 1.1.1.1/
    TURN_ALLOWED_PEERS: 300.1.1.1 | 10.0.0.1-fd00::1
    ICE_SERVERS_EXTRA: not json hunter2 | {"urls":"hunter2"} | [{"username":"hunter2"}] | [{"urls":[]}]
    ICE_SERVERS_URL: a-key | ftp://a.example/a-key | http://a.example/a-key | http://localhost.a.example
    ICE_SERVERS_URL: https://user:a-key@a.example
    ICE_SERVERS_TOKEN: Bearer a-key
    ICE_SERVERS_BODY: {"ttl": 60} | Ttl=60 | {"expire":"60"}
    ICE_SERVERS_METHOD: HEAD
    REDIS_URL: redis://user:hunter2@h/x | redis://%zz:hunter2@a
    VAPID_SUBJECT: admin@example.org
    APNS_SERVER: http://example.org | https://example.org:99999
    FCM_URL: https://example.org/v1 | https://[::1
    PUSH_WEBHOOK_URL: https://[
    WEB_PUSH_HOSTS: https://push.example.org | *`),
)('%s refuses %s', (name, value) => {
  expect(namesOf({ ...COMPLETE, [name]: value })).toEqual([name]);
  if (!SETTINGS.get(name)?.secret) return;
  for (const secret of [value, 'hunter2', 'a-key']) {
    expect(faultsOf({ ...COMPLETE, [name]: value })[0]).not.toContain(secret);
  }
});

test.each([
  ['HOST=x & USE_SQLITE=1 & REQUIRE_PAIRED_ROOMS=1', ''],
  ['REDIS_URL=redis://localhost & REQUIRE_PAIRED_ROOMS=1', ''],
  ['STUN_URLS=stun:a.example', ''],
  ['TURN_MIN_PORT=48000', ''],
  [`TURN_URLS=turn:a.example`, 'TURN_SECRET'],
  [`TURN_SECRET=${SECRET}`, 'TURN_URLS'],
  [`${TURN} & TURN_URLS=turns:a.example & ${CERT}`, ''],
  [`${TURN} & TURN_URLS=turns:a.example`, 'TURN_TLS_CERT'],
  ['TURN_TLS_CERT=/c.pem', 'TURN_TLS_KEY'],
  ['TURN_TLS_KEY=/k.pem', 'TURN_TLS_CERT'],
  ['TURN_MIN_PORT=50001 & TURN_MAX_PORT=50000', 'TURN_MIN_PORT'],
  ['TURN_PORT=5349', 'TURN_TLS_PORT'],
  [`TURN_STATIC_USER=old:${SECRET}`, ''],
  [`TURN_STATIC_USER=old:${SECRET} & TURN_MIN_PORT=48000`, 'TURN_STATIC_MIN_PORT'],
  [
    `TURN_STATIC_USER=old:${SECRET} & TURN_STATIC_PORT=3478`,
    'TURN_STATIC_PORT, TURN_STATIC_TLS_PORT',
  ],
  [
    `TURN_STATIC_USER=old:${SECRET} & TURN_STATIC_MIN_PORT=49000 & TURN_STATIC_MAX_PORT=48999`,
    'TURN_STATIC_MIN_PORT',
  ],
  ['ICE_SERVERS_TOKEN=a-key', 'ICE_SERVERS_URL'],
  ['ICE_SERVERS_BODY=a-key', 'ICE_SERVERS_URL'],
  [`${PROVIDER} & ICE_SERVERS_METHOD=GET & ICE_SERVERS_BODY=a-key`, 'ICE_SERVERS_BODY'],
  ['APNS_KEY=./key.p8', 'APNS_KEY_ID, APNS_TEAM_ID, APNS_TOPIC'],
  ['APNS_TOPIC=org.example.app', 'APNS_KEY, APNS_KEY_ID, APNS_TEAM_ID'],
  [`VAPID_PRIVATE_KEY=${'A'.repeat(43)}`, 'VAPID_SUBJECT'],
  [`VAPID_PRIVATE_KEY=${'A'.repeat(43)} & VAPID_SUBJECT=mailto:admin@example.org`, ''],
  ['PUSH_WEBHOOK_URL=https://example.org/push', 'PUSH_WEBHOOK_SECRET'],
  // All faults are reported together, except those of checks that read a faulty value.
  [
    'PORT=x & USE_SQLITE=maybe & LOG_LEVEL=loud & ADMIN_TOKEN=short & ROOM_IDLE_DAYS=-1',
    'PORT, USE_SQLITE, ADMIN_TOKEN, ROOM_IDLE_DAYS, LOG_LEVEL',
  ],
  [
    'PORT=x & TURN_SECRET=short & TURN_URLS=turn:a.example & TURN_TLS_KEY=/k',
    'PORT, TURN_SECRET, TURN_TLS_CERT',
  ],
  [
    'PORT=x & TURN_MIN_PORT=60000 & TURN_MAX_PORT=50000 & TURN_TLS_PORT=3478',
    'PORT, TURN_MIN_PORT, TURN_TLS_PORT',
  ],
  ['TURN_MIN_PORT=60000 & TURN_MAX_PORT=x & TURN_TLS_PORT=3478', 'TURN_MAX_PORT, TURN_TLS_PORT'],
  ['USE_SQLITE=maybe & REQUIRE_PAIRED_ROOMS=1', 'USE_SQLITE'],
])('%s: the faulty variables are [%s]', (text, names) => {
  expect(namesOf(envOf(text)).join(', ')).toBe(names);
});

const user = { username: 'u', credential: 'hunter2' };

test.each([
  { urls: 'turn:a.example' },
  { urls: 'turn:a.example', username: 'u' },
  { urls: 'turns:a.example', credential: 'hunter2' },
  { urls: 'turn:a.example', username: '', credential: '' },
  { urls: ['stun:a.example', 'turn:a.example'] },
  { ...user, urls: 'turn:a.example', username: 'ü'.repeat(255) },
  { ...user, urls: 'turn:a.example?transport=sctp' },
  { urls: 'stun:a.example:99999' },
  { urls: 'stun:[::::]' },
  { urls: ['stun:a.example', 'https://a.example'] },
  { urls: ' stun:a.example' },
])('ICE_SERVERS_EXTRA refuses a server that browsers refuse, without quoting it: %j', (server) => {
  const extra = [{ urls: 'stun:fine.example' }, server, { urls: 'x' }];
  const [fault, ...others] = faultsOf({ ICE_SERVERS_EXTRA: JSON.stringify(extra) });
  expect(fault).toMatch(/^ICE_SERVERS_EXTRA: server 2 has .*; server 3 has a URL/);
  expect(fault).not.toMatch(/hunter2|a\.example/);
  expect(others).toEqual([]);
});

test('ICE_SERVERS_EXTRA is a JSON array of RTCIceServer and stays unchanged', () => {
  const extra = [
    { urls: ['stun:a.example', 'stuns:a.example:5349', 'stun:[2001:db8::1]:3478'] },
    { ...user, urls: ['turn:a.example:3478?transport=tcp', 'turns:192.0.2.1:443'] },
  ];
  const env = { ICE_SERVERS_EXTRA: JSON.stringify(extra) };
  expect(parseConfig(env).iceServersExtra).toEqual(extra);
});

test('values are read as their types, lists in their order; empty variables have their defaults', () => {
  const both = `${SECRET}-new,${SECRET}-old`;
  const env = { ...envOf(TURN), TURN_SECRET: both, PORT: '1', USE_SQLITE: 'yes', DEMO: 'off' };
  const config = parseConfig({ ...env, HOST: '  ', MAX_ROOMS: '' });
  expect(config).toMatchObject({ port: 1, useSqlite: true, demo: false, host: '0.0.0.0' });
  expect(config.turnSecrets).toEqual(both.split(','));
  expect(Object.isFrozen(config)).toBe(true);
  for (const { key, default: value } of SETTINGS.values()) expect(parseConfig({})[key]).toBe(value);
});

test('a fault names what is expected and quotes the value, but never a secret', () => {
  expect(faultsOf({ PORT: 'eighty' })).toEqual([
    'PORT: expected a whole number from 0 to 65535, got "eighty"',
  ]);
  for (const [name, { secret }] of SETTINGS) {
    if (!secret) continue;
    const faults = faultsOf({ [name]: 'hunter2' });
    expect(faults).toHaveLength(1);
    expect(faults[0]).not.toContain('hunter2');
  }
});
