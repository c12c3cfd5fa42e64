// Sources of settings: their priority, unset variables, and the syntax of `.env`.
import { expect, test } from 'vitest';
import { ConfigError, parseConfig } from '../../src/settings/config.js';
import { layered, misspelled, parseDotEnv } from '../../src/settings/environment.js';

const parse = (text: string) => parseDotEnv(Buffer.from(text));

function faultsOf(bytes: Uint8Array): readonly string[] {
  try {
    parseDotEnv(bytes);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
}

test('the first source in which a variable is set wins', () => {
  expect(layered({ PORT: '1' }, { PORT: '2', HOST: 'a' }, { HOST: 'b', DEMO: '0' })).toEqual({
    PORT: '1',
    HOST: 'a',
    DEMO: '0',
  });
});

test.each(['', '  ', undefined])(
  'a variable with the value %j does not hide other sources',
  (empty) => {
    expect(layered({ PRODUCTION: empty }, { PRODUCTION: '1' })).toEqual({ PRODUCTION: '1' });
    expect(layered({}, { USE_SQLITE: empty }, { USE_SQLITE: '1' })).toEqual({ USE_SQLITE: '1' });
  },
);

const SERVICE_LINK = 'tcp://10.96.0.10:3478';

test.each(['TURN_PORT', 'TURN_TLS_PORT', 'TURN_STATIC_PORT', 'TURN_MIN_PORT', 'TURN_MAX_PORT'])(
  '%s as a Kubernetes Service of that name sets it counts as unset',
  (name) => {
    expect(parseConfig({ [name]: SERVICE_LINK })).toEqual(parseConfig({}));
    expect(parseConfig({ [name]: 'udp://[fd00::1]:53' })).toEqual(parseConfig({}));
    expect(layered({ [name]: SERVICE_LINK }, { [name]: '4000' })).toEqual({ [name]: '4000' });
  },
);

test('an address as the value of another setting is a fault', () => {
  expect(() => parseConfig({ PORT: SERVICE_LINK })).toThrow(/^PORT: expected a whole number/);
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
  expect(parse(text)).toEqual({
    A: '2',
    B: 'two words',
    C: 'in # quotes',
    D: 'single "quotes"',
    E: 'a "and" \'b\'',
    F: 'first\nsecond',
    G: 'first\nsecond',
    H: '',
    I: '',
    J: 'a#b',
    K: '#c',
    L: "it's",
    M: '[{"urls":"stun:a.example"}]',
    N: 'x=y',
    '_o.p-q': 'last',
  });
});

const TEXT = 'PRODUCTION=1\r\n# ümläut\r\nLOG_LEVEL="info"\r\n';
const utf16le = Buffer.from(TEXT, 'utf16le');
const utf16be = Buffer.from(utf16le).swap16();

test.each<[string, Uint8Array]>([
  ['UTF-8', Buffer.from(TEXT)],
  ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${TEXT}`)],
  ['UTF-16 of little-endian order', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16le])],
  ['UTF-16 of big-endian order', Buffer.concat([Buffer.from([0xfe, 0xff]), utf16be])],
  ['UTF-16 without a mark', utf16le],
  ['big-endian UTF-16 without a byte order mark', utf16be],
  ['old Mac line ends', Buffer.from(TEXT.replaceAll('\r\n', '\r'))],
])('a .env in %s is read', (_form, bytes) => {
  expect(parseDotEnv(bytes)).toEqual({ PRODUCTION: '1', LOG_LEVEL: 'info' });
});

test('an empty .env has no variables', () => {
  for (const text of ['', '\n', '\ufeff', '\n\n  \n']) expect(parse(text)).toEqual({});
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

test.each<[string, Uint8Array]>([
  ['Latin-1', Buffer.from('# ümläut\n', 'latin1')],
  ['half a character of UTF-16', utf16le.subarray(0, 7)],
])('a .env in %s is refused with one line', (_form, bytes) => {
  expect(faultsOf(bytes)).toEqual(['.env: is neither UTF-8 nor UTF-16; save it as UTF-8']);
});

test.each([
  ['a letter more', 'PORTS', 'PORT'],
  ['two swapped letters', 'PROT', 'PORT'],
  ['two swapped letters of a long name', 'TURN_SECERT', 'TURN_SECRET'],
  ['a letter less', 'TURN_SECRT', 'TURN_SECRET'],
  ['lower case', 'turn_secret', 'TURN_SECRET'],
])('a variable with %s is named with the nearest setting', (_fault, name, setting) => {
  expect(misspelled({ [name]: 'x' })).toEqual([
    `.env: ${name} is not a setting; did you mean ${setting}?`,
  ]);
});

test('a variable far from any setting is not named', () => {
  expect(misspelled({ MY_APP: '1', HTTPS_PORT: '8443', PORT: '1' })).toEqual([]);
});
