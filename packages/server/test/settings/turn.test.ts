// TURN settings: valid values, and settings that need each other.
import { describe, expect, test } from 'vitest';
import { ConfigError, parseConfig } from '../../src/settings/config.js';

const SECRET = 'sixteen-chars-at-least';
const TURN = { TURN_SECRET: SECRET, TURN_URLS: 'turn:turn.example.org' };

function faultsOf(env: Record<string, string>): readonly string[] {
  try {
    parseConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}
const namesOf = (env: Record<string, string>) =>
  faultsOf(env).map((fault) => fault.split(':', 1)[0]);

describe('TURN_URLS and STUN_URLS', () => {
  test.each([
    'turn:turn.example.org',
    'turn:turn.example.org:3478',
    'turn:turn.example.org:3478?transport=udp',
    'turn:192.0.2.1:65535?transport=tcp',
    'turn:[2001:db8::1]:3478',
    'turn:localhost',
    'turn:a.example, turn:b.example ,turn:c.example',
  ])('takes %s', (urls) => {
    expect(faultsOf({ ...TURN, TURN_URLS: urls })).toEqual([]);
  });

  test.each([
    'turn.example.org',
    'stun:turn.example.org',
    'turn://turn.example.org',
    'turn:turn.example.org:0',
    'turn:turn.example.org:65536',
    'turn:turn.example.org?transport=sctp',
    'turn:turn.example.org/path',
    'turn:user@turn.example.org',
    'turn:2001:db8::1',
    'turn:[2001:db8::1::]',
    'TURN:turn.example.org',
    'turn:',
    'turn:a.example,,turn:b.example',
  ])('refuses %s', (urls) => {
    expect(namesOf({ ...TURN, TURN_URLS: urls })).toEqual(['TURN_URLS']);
  });

  test.each(['stun:stun.example.org', 'stuns:stun.example.org:5349', 'stun:[::1]'])(
    'takes %s',
    (urls) => {
      expect(faultsOf({ STUN_URLS: urls })).toEqual([]);
    },
  );

  test.each([
    'turn:stun.example.org',
    'stun:stun.example.org?transport=udp',
    'stun:',
    'stun://stun.example.org',
    'stun:stun.example.org:99999',
    'stun:[::::]',
  ])('refuses %s as STUN', (urls) => {
    expect(namesOf({ STUN_URLS: urls })).toEqual(['STUN_URLS']);
  });
});

describe('TURN_SECRET', () => {
  test('accepts one secret, or two for a rotation, and keeps their order', () => {
    expect(parseConfig({ ...TURN }).turnSecrets).toEqual([SECRET]);
    const both = `${SECRET}-new,${SECRET}-old`;
    expect(parseConfig({ ...TURN, TURN_SECRET: both }).turnSecrets).toEqual(both.split(','));
  });

  test.each([
    ['a short secret', 'short'],
    ['three', `${SECRET},${SECRET},${SECRET}`],
    ['a secret that a configuration file would split', 'sixteen # chars "at least'],
    ['a short second secret', `${SECRET},short`],
  ])('refuses %s, and never quotes it', (_, secret) => {
    const faults = faultsOf({ ...TURN, TURN_SECRET: secret });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/^TURN_SECRET: /);
    expect(faults[0]).not.toContain(secret);
  });
});

describe('combinations of settings', () => {
  test.each<[string, Record<string, string>, string]>([
    ['URLs without a secret', { TURN_URLS: 'turn:a.example' }, 'TURN_SECRET'],
    ['a secret without URLs', { TURN_SECRET: SECRET }, 'TURN_URLS'],
    ['turns: without a certificate', { ...TURN, TURN_URLS: 'turns:a.example' }, 'TURN_TLS_CERT'],
    [
      'TURN over DTLS',
      {
        ...TURN,
        TURN_URLS: 'turns:a.example:5349?transport=udp',
        TURN_TLS_CERT: '/c.pem',
        TURN_TLS_KEY: '/k.pem',
      },
      'TURN_URLS',
    ],
    ['a certificate without its key', { TURN_TLS_CERT: '/c.pem' }, 'TURN_TLS_KEY'],
    ['a key without its certificate', { TURN_TLS_KEY: '/k.pem' }, 'TURN_TLS_CERT'],
    ['an empty relay range', { TURN_MIN_PORT: '50001', TURN_MAX_PORT: '50000' }, 'TURN_MIN_PORT'],
    ['the same port for two uses', { TURN_PORT: '5349' }, 'TURN_TLS_PORT'],
    ['an invalid listening address', { TURN_LISTEN_IPS: '10.0.0.256' }, 'TURN_LISTEN_IPS'],
    ['an invalid external IP', { TURN_EXTERNAL_IP: '8.8.4.4/10.0.0.256' }, 'TURN_EXTERNAL_IP'],
    ['an external IP of two families', { TURN_EXTERNAL_IP: '8.8.4.4/fd00::1' }, 'TURN_EXTERNAL_IP'],
    ['an invalid peer address', { TURN_ALLOWED_PEERS: '300.1.1.1' }, 'TURN_ALLOWED_PEERS'],
    ['peers of two families', { TURN_ALLOWED_PEERS: '10.0.0.1-fd00::1' }, 'TURN_ALLOWED_PEERS'],
  ])('%s is refused', (_, env, name) => {
    expect(namesOf(env)).toEqual([name]);
  });

  test.each<[string, Record<string, string>]>([
    ['no TURN setting', {}],
    ['STUN alone', { STUN_URLS: 'stun:a.example' }],
    [
      'TLS with a certificate',
      { ...TURN, TURN_URLS: 'turns:a.example', TURN_TLS_CERT: '/c.pem', TURN_TLS_KEY: '/k.pem' },
    ],
    [
      'TLS that ends elsewhere',
      { ...TURN, TURN_URLS: 'turns:a.example', TURN_TLS_CERT: 'elsewhere' },
    ],
    [
      'addresses of both IP families',
      {
        TURN_LISTEN_IPS: '10.0.0.4,fd00::4',
        TURN_EXTERNAL_IP: '8.8.4.4/10.0.0.4,2606:4700::1/fd00::4',
        TURN_ALLOWED_PEERS: '10.1.0.0-10.1.0.255,fd00::1',
      },
    ],
    ['overlapping ranges without a second coturn', { TURN_MIN_PORT: '48000' }],
  ])('%s is accepted', (_, env) => {
    expect(faultsOf(env)).toEqual([]);
  });

  test('the ports of the second coturn must differ from those of the first', () => {
    const user = { TURN_STATIC_USER: `old:${SECRET}` };
    expect(faultsOf(user)).toEqual([]);
    expect(namesOf({ ...user, TURN_MIN_PORT: '48000' })).toEqual(['TURN_STATIC_MIN_PORT']);
    expect(namesOf({ ...user, TURN_STATIC_PORT: '3478' })).toEqual([
      'TURN_STATIC_PORT, TURN_STATIC_TLS_PORT',
    ]);
    expect(
      namesOf({ ...user, TURN_STATIC_MIN_PORT: '49000', TURN_STATIC_MAX_PORT: '48999' }),
    ).toEqual(['TURN_STATIC_MIN_PORT']);
  });

  test('all faults are reported together, except those that follow from another fault', () => {
    expect(
      namesOf({ PORT: 'x', TURN_SECRET: 'short', TURN_URLS: 'turn:a.example', TURN_TLS_KEY: '/k' }),
    ).toEqual(['PORT', 'TURN_SECRET', 'TURN_TLS_CERT']);
  });
});

describe('ICE_SERVERS_EXTRA', () => {
  test('is a JSON array of RTCIceServer and stays unchanged', () => {
    const servers = [{ urls: ['turn:x.example'], username: 'u', credential: 'c' }];
    expect(parseConfig({ ICE_SERVERS_EXTRA: JSON.stringify(servers) }).iceServersExtra).toEqual(
      servers,
    );
  });

  const user = { username: 'u', credential: 'secret-credential' };

  test.each([
    { urls: 'turn:a.example' },
    { urls: 'turn:a.example', username: 'u' },
    { urls: 'turns:a.example', credential: 'secret-credential' },
    { urls: 'turn:a.example', username: '', credential: '' },
    { urls: ['stun:a.example', 'turn:a.example'] },
    { ...user, urls: 'turn:a.example', username: 'ü'.repeat(255) },
    { ...user, urls: 'turn://a.example' },
    { ...user, urls: 'turn:a.example:0' },
    { ...user, urls: 'turn:a.example?transport=sctp' },
    { ...user, urls: 'turn:u@a.example' },
    { urls: 'stun:a.example?transport=udp' },
    { urls: 'stun://a.example:19302' },
    { urls: 'stun:a.example:99999' },
    { urls: 'stun:[::::]' },
    { urls: ['stun:a.example', 'https://a.example'] },
    { urls: ' stun:a.example' },
    { urls: '' },
    { urls: [] },
  ])('refuses a server that browsers refuse, without quoting it: %j', (server) => {
    const extra = [{ urls: 'stun:fine.example' }, server];
    const faults = faultsOf({ ICE_SERVERS_EXTRA: JSON.stringify(extra) });
    expect(faults).toHaveLength(1);
    expect(faults[0]).toMatch(/^ICE_SERVERS_EXTRA: /);
    expect(faults[0]).not.toMatch(/secret-credential|a\.example/);
  });

  test('reports the number of each faulty server', () => {
    const extra = [{ urls: 'stun:a.example' }, { urls: 'turn:a.example' }, { urls: 'x' }];
    const [fault] = faultsOf({ ICE_SERVERS_EXTRA: JSON.stringify(extra) });
    expect(fault).toMatch(/server 2 has a TURN URL.*; server 3 has a URL/);
  });

  test('accepts servers that browsers accept', () => {
    const extra = [
      { urls: ['stun:a.example', 'stuns:a.example:5349', 'stun:[2001:db8::1]:3478'] },
      { ...user, urls: ['turn:a.example:3478?transport=tcp', 'turns:192.0.2.1:443'] },
    ];
    expect(faultsOf({ ICE_SERVERS_EXTRA: JSON.stringify(extra) })).toEqual([]);
  });

  test.each([
    'not json secret-credential',
    '{"urls":"secret-credential"}',
    '[{"username":"secret-credential"}]',
  ])('refuses %s without quoting it', (text) => {
    const faults = faultsOf({ ICE_SERVERS_EXTRA: text });
    expect(faults).toHaveLength(1);
    expect(faults[0]).not.toContain('secret-credential');
  });
});

describe('ICE_SERVERS_URL', () => {
  const url = (ICE_SERVERS_URL: string) => ({ ICE_SERVERS_URL });
  const set = url('https://api.example.net/turn?apiKey=a-key');

  test.each<[string, Record<string, string>, string]>([
    ['no URL', url('a-key'), 'ICE_SERVERS_URL'],
    ['another scheme', url('ftp://api.example.net/a-key'), 'ICE_SERVERS_URL'],
    ['plain HTTP', url('http://api.example.net/a-key'), 'ICE_SERVERS_URL'],
    ['plain HTTP to a name like localhost', url('http://localhost.a-key.net'), 'ICE_SERVERS_URL'],
    ['a password in the URL', url('https://user:a-key@api.example.net'), 'ICE_SERVERS_URL'],
    ['a token without a URL', { ICE_SERVERS_TOKEN: 'a-key' }, 'ICE_SERVERS_URL'],
    ['a body without a URL', { ICE_SERVERS_BODY: 'a-key' }, 'ICE_SERVERS_URL'],
    ['a token with a space', { ...set, ICE_SERVERS_TOKEN: 'Bearer a-key' }, 'ICE_SERVERS_TOKEN'],
    [
      'a body of a GET request',
      { ...set, ICE_SERVERS_METHOD: 'GET', ICE_SERVERS_BODY: 'a-key' },
      'ICE_SERVERS_BODY',
    ],
    [
      'a lifetime too short, as JSON',
      { ...set, ICE_SERVERS_BODY: '{"ttl": 60}' },
      'ICE_SERVERS_BODY',
    ],
    ['a lifetime too short, as a form', { ...set, ICE_SERVERS_BODY: 'Ttl=60' }, 'ICE_SERVERS_BODY'],
    [
      'a lifetime too short, as text',
      { ...set, ICE_SERVERS_BODY: '{"expire":"60"}' },
      'ICE_SERVERS_BODY',
    ],
    ['an unknown method', { ...set, ICE_SERVERS_METHOD: 'HEAD' }, 'ICE_SERVERS_METHOD'],
  ])('%s is refused, and not quoted', (_, env, name) => {
    expect(namesOf(env)).toEqual([name]);
    expect(faultsOf(env)[0]).not.toContain('a-key');
  });

  test.each<Record<string, string>>([
    { ...set, ICE_SERVERS_METHOD: 'GET' },
    { ...set, ICE_SERVERS_TOKEN: 'user:pass:word', ICE_SERVERS_BODY: 'Ttl=3600' },
    { ...url('http://127.0.0.1:8000/turn'), ...TURN },
    url('http://[::1]:8000'),
    url('http://localhost'),
  ])('%j is accepted', (env) => {
    expect(faultsOf(env)).toEqual([]);
  });
});

test.each(['59', '86401', '1h'])('TURN_TTL_SECONDS refuses %s', (ttl) => {
  expect(namesOf({ TURN_TTL_SECONDS: ttl })).toEqual(['TURN_TTL_SECONDS']);
});

test.each(['198.51.100.7', 'turn.example.org/10.0.0.4', '198.51.100.7/'])(
  'TURN_EXTERNAL_IP refuses %s',
  (ip) => {
    expect(namesOf({ TURN_EXTERNAL_IP: ip })).toEqual(['TURN_EXTERNAL_IP']);
  },
);
