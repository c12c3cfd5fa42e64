// Sources of settings: their priority, unset variables, and the syntax of `.env`.
import { expect, test } from 'vitest';
import { ConfigError, parseConfig } from '../../src/settings/config.js';
import { layered, misspelled, parseDotEnv } from '../../src/settings/environment.js';

function faultsOf(bytes: Uint8Array): readonly string[] {
  try {
    parseDotEnv(bytes);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

const SERVICE_LINK = 'tcp://10.96.0.10:3478';

test('the first source in which a variable is set wins; empty variables do not count', () => {
  const first = { PORT: '1', USE_SQLITE: '', DEMO: '  ', PRODUCTION: undefined };
  const second = { PORT: '2', HOST: 'a', USE_SQLITE: '1' };
  const third = { HOST: 'b', DEMO: '0', PRODUCTION: '1' };
  const set = { PORT: '1', HOST: 'a', USE_SQLITE: '1', DEMO: '0', PRODUCTION: '1' };
  expect(layered(first, second, third)).toEqual(set);
});

test('a TURN_…_PORT that Kubernetes sets to the address of a Service counts as unset', () => {
  for (const use of ['', 'TLS_', 'STATIC_', 'MIN_', 'MAX_']) {
    const name = `TURN_${use}PORT`;
    for (const link of [SERVICE_LINK, 'udp://[fd00::1]:53'])
      expect(parseConfig({ [name]: link })).toEqual(parseConfig({}));
    expect(layered({ [name]: SERVICE_LINK }, { [name]: '4000' })).toEqual({ [name]: '4000' });
  }
  expect(layered({ TURN_URLS: SERVICE_LINK })).toEqual({ TURN_URLS: SERVICE_LINK });
});

test('.env has the syntax of Docker Compose for names, values, quotes and comments', () => {
  const text = `
# a comment
A=1
export B=two words # a comment
  C = "in # quotes" # a comment
D='single "quotes"'
E=\`a "and" 'b'\`
F="first
second"
G="first\\nsecond"
H=
I= # a comment
J=a#b
K=#c
L=it's
M=[{"urls":"stun:a.example"}]
N=x=y
A=2
_o.p-q=last`;
  expect(parseDotEnv(Buffer.from(text))).toEqual({
    ...{ A: '2', B: 'two words', C: 'in # quotes', D: 'single "quotes"', E: 'a "and" \'b\'' },
    ...{ F: 'first\nsecond', G: 'first\nsecond', H: '', I: '', J: 'a#b', K: '#c', L: "it's" },
    ...{ M: '[{"urls":"stun:a.example"}]', N: 'x=y', '_o.p-q': 'last' },
  });
});

const TEXT = 'PRODUCTION=1\r\n# ümläut\r\nLOG_LEVEL="info"\r\n';
const utf16le = Buffer.from(TEXT, 'utf16le');
const utf16be = Buffer.from(utf16le).swap16();

test.each<[string, Uint8Array]>([
  ['UTF-8', Buffer.from(TEXT)],
  ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${TEXT}`)],
  ['little-endian UTF-16', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16le])],
  ['big-endian UTF-16', Buffer.concat([Buffer.from([0xfe, 0xff]), utf16be])],
  ['little-endian UTF-16 without a byte order mark', utf16le],
  ['big-endian UTF-16 without a byte order mark', utf16be],
  ['UTF-8 with the line ends of old Macs', Buffer.from(TEXT.replaceAll('\r\n', '\r'))],
])('a .env in %s is read', (_form, bytes) => {
  expect(parseDotEnv(bytes)).toEqual({ PRODUCTION: '1', LOG_LEVEL: 'info' });
});

test('an empty .env has no variables', () => {
  for (const text of ['', '\n', '\ufeff', '\n\n  \n'])
    expect(parseDotEnv(Buffer.from(text))).toEqual({});
});

test.each([
  'ADMIN_TOKEN: hunter2',
  'ADMIN_TOKEN hunter2',
  'set ADMIN_TOKEN=hunter2',
  '$env:ADMIN_TOKEN = "hunter2"',
  'ADMIN_TOKEN="hunter2',
  'ADMIN_TOKEN="hunter2"hunter2',
  '=hunter2',
  'ADMIN-TOKEN',
])('the line %j is reported by its number and not quoted', (line) => {
  const faults = faultsOf(Buffer.from(`PORT=1\r\n\r\n${line}\r\nDEMO=0\r\n`));
  expect(faults).toEqual(['.env: line 3: expected NAME=value, or a comment that begins with #']);
});

test('every line that cannot be parsed is reported, up to ten lines', () => {
  expect(faultsOf(Buffer.from('A: 1\nB=2\nC: 3'))).toHaveLength(2);
  expect(faultsOf(Buffer.from('{\n'.repeat(100)))).toHaveLength(10);
});

test('a .env in another encoding is refused with one line', () => {
  for (const bytes of [Buffer.from('# ümläut\n', 'latin1'), utf16le.subarray(0, 7)])
    expect(faultsOf(bytes)).toEqual(['.env: is neither UTF-8 nor UTF-16; save it as UTF-8']);
});

test('a variable close to the name of a setting is named with the nearest setting, and no other', () => {
  const near = {
    PORTS: 'PORT',
    PROT: 'PORT',
    TURN_SECERT: 'TURN_SECRET',
    turn_secret: 'TURN_SECRET',
  };
  for (const [name, setting] of Object.entries({ ...near, TURN_SECRT: 'TURN_SECRET' })) {
    const line = `.env: ${name} is not a setting; did you mean ${setting}?`;
    expect(misspelled({ [name]: 'x' })).toEqual([line]);
  }
  expect(misspelled({ MY_APP: '1', HTTPS_PORT: '8443', PORT: '1' })).toEqual([]);
});
