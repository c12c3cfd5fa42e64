// Every error is JSON, for invalid bodies, types and routes, and for bytes that are not HTTP. docs/protocol.md §3.
import { gzipSync } from 'node:zlib';
import { serverUnderTest } from '@couplet/testkit/server';
import { rowsOf, stepsOf } from '@couplet/testkit/stories';
import { describe, expect, test } from 'vitest';
import { type RawAnswer, type RequestHeaders, rawRequest, request } from '../support/raw-http.js';

const { url } = await serverUnderTest();
const { host } = new URL(url);
const CHUNKED = { 'content-length': undefined, 'transfer-encoding': 'chunked' };

/** The status and the code. No answer is stored by caches, which by default store even 404 (RFC 9111), or sniffed. */
function outcomeOf({ status, headers, body }: RawAnswer): string {
  expect(headers.get('cache-control')).toBe('no-store');
  expect(headers.get('x-content-type-options')).toBe('nosniff');
  if (status < 400) return String(status);
  expect(headers.get('content-type')).toMatch(/^application\/json/);
  const { error, field, details } = JSON.parse(body);
  expect(JSON.parse(body)).toEqual({ error, field, details });
  if (error === 'invalid_json') expect(details).toMatch(/^the body must be/);
  const supported = headers.get('accept-encoding');
  return `${status} ${error}${supported ? `, ${supported}` : ''}`.replace(/missing_.*/, 'missing');
}

const valid = (id: string) =>
  `{"joinid":"${id}","deviceId":"a","client1":"a","client2":"a","expiresInSeconds":5}`;
const type = (value: string | undefined) => ({ 'content-type': value });
const only = (body: string): [string] => [body];
const coding = (value: string) => ({ 'content-encoding': value });

/** Answer → bodies, with the headers that differ from those of JSON. `missing`: the body was read and has no fields. */
const BODIES: Record<string, [body: string, headers?: RequestHeaders][]> = {
  '400 invalid_json': [
    ...['hello', 'joinid=123456&client1=a', '{}{}', '"123456"', '5', 'true', '  '].map(only),
    ...['{"joinid":"123456"', '{"joinid":"123456",}', '[{"joinid":"123456"}]'].map(only),
    ['{"expiresInSeconds":NaN}'],
    // A byte order mark alone; and bytes that are not UTF-8: a stray one, an overlong NUL, a surrogate, half a character.
    ['\xef\xbb\xbf'],
    ...['\x80', '\xc0\x80', '\xed\xa0\x80', '\xe2\x82'].map((id) => only(valid(id))),
    ...[32, 20_000].map((n) => only(`{"x":${'['.repeat(n)}${']'.repeat(n)}}`)),
    [`{"x":[${'0,'.repeat(9_999)}0]}`],
  ],
  '400 missing': [
    ['null'],
    ['{}', type('application/json; charset=utf-8')],
    ['{}', type('APPLICATION/JSON;charset=UTF-8')],
    ['{}', coding('Identity')],
    // The type of an empty body is ignored.
    ...[undefined, 'application/json', 'text/plain', 'json', ';', ''].flatMap(
      (value): [string, RequestHeaders][] => [
        ['', type(value)],
        ['', { ...type(value), 'content-length': undefined }],
        ['0\r\n\r\n', { ...type(value), ...CHUNKED }],
      ],
    ),
  ],
  '413 payload_too_large': [['', { ...type('application/json'), 'content-length': 3_000_000 }]],
  '415 unsupported_media_type': [
    ['{}', type(undefined)],
    ...'text/plain | text/json | application/x-www-form-urlencoded | multipart/form-data; boundary=x'
      .concat(' | application/jsonp | nonsense | */*')
      .split(' | ')
      .map((value): [string, RequestHeaders] => ['{}', type(value)]),
  ],
  '415 unsupported_media_type, identity': [
    [gzipSync('{}').toString('latin1'), coding('gzip')],
    ['{}', coding('br')],
    ['{}', coding('x, identity')],
  ],
};

describe.each([
  'POST /api/rooms',
  'POST /api/rooms/accept',
  'POST /api/rooms/check',
  'POST /api/rooms/cancel',
  'POST /api/user/purge',
])('%s', (line) => {
  test.each(Object.entries(BODIES))('%s', async (outcome, bodies) => {
    for (const [body, headers] of bodies) {
      const answer = await rawRequest(url, request(line, headers, body));
      expect(outcomeOf(answer), JSON.stringify([body.slice(0, 80), headers])).toBe(outcome);
    }
  });

  test('an error quotes no part of the request', async () => {
    const secret = 'S3CRET-4711';
    const bodies = [`{"joinid":"${secret}`, JSON.stringify({ joinid: [secret], client1: 1 })];
    for (const body of bodies) {
      expect((await rawRequest(url, request(line, {}, body))).body).not.toContain(secret);
    }
  });
});

test('a chunked body that is too large is 413, and one of 60 KB is within the limit', async () => {
  const headers = { ...type('application/json'), ...CHUNKED };
  const chunk = `ffff\r\n${'x'.repeat(0xffff)}\r\n`;
  const large = request('POST /api/rooms', headers, chunk + chunk);
  expect(outcomeOf(await rawRequest(url, large))).toBe('413 payload_too_large');
  const allowed = request('POST /api/rooms', {}, `{"padding":"${'x'.repeat(60_000)}"}`);
  expect(outcomeOf(await rawRequest(url, allowed))).toBe('400 missing');
});

test.each(
  rowsOf(`
    200: GET /; HEAD /; GET /healthz; GET /readyz; GET /rooms; GET /metrics; GET /openapi.json;
        DELETE /api/rooms?roomid=unknown
    204: OPTIONS /; OPTIONS /api/rooms; OPTIONS /nowhere
    400 missing: GET /api/rooms
    404 not_found: GET /api/rooms?roomid=unknown; GET /nowhere; POST /nowhere; GET /api;
        GET /api/rooms/; GET /api/rooms/accept; GET /API/rooms; PUT /api/rooms; PATCH /api/rooms;
        POST /; DELETE /rooms; GET /api/user/purge; GET /../etc/passwd; GET /<script>; GET /%00;
        GET /%zz; GET /%; QUERY /; CONNECT x:443; GET /S3CRET-4711?S3CRET-4711
  `),
)('%s: %s', async (outcome, lines) => {
  for (const line of stepsOf(lines)) {
    const answer = await rawRequest(url, request(line, { host }));
    expect(outcomeOf(answer), line).toBe(outcome);
    expect(answer.body).not.toContain('S3CRET');
  }
});

test.each([
  ['application/json', '{'],
  ['text/plain', 'x'],
])('a path without a route is 404, with a body of %s: %s', async (value, body) => {
  const answer = await rawRequest(url, request('POST /nowhere', type(value), body));
  expect(outcomeOf(answer)).toBe('404 not_found');
});

const GET = 'GET / HTTP/1.1\r\n';
const HOST = `${GET}host: x\r\n`;

test.each([
  ['400 invalid_request', 'no HTTP', 'hello\r\n\r\n'],
  ['400 invalid_request', 'TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03'],
  ['400 invalid_request', 'an unknown method', 'BREW / HTTP/1.1\r\nhost: x\r\n\r\n'],
  ['400 invalid_request', 'another version', 'GET / HTTP/9.9\r\nhost: x\r\n\r\n'],
  ['400 invalid_request', 'a space in the target', 'GET /a b HTTP/1.1\r\nhost: x\r\n\r\n'],
  ['400 invalid_request', 'a broken header', `${HOST}no colon\r\n\r\n`],
  ['400 invalid_request', 'a broken length', `${HOST}content-length: x\r\n\r\n`],
  ['400 invalid_request', 'two lengths', request('GET /', { 'transfer-encoding': 'chunked' })],
  ['400 invalid_request', 'no host', `${GET}connection: close\r\n\r\n`],
  ['400 invalid_request', 'two hosts', `${HOST}host: x\r\nconnection: close\r\n\r\n`],
  ['400 invalid_request', 'two hosts', `${HOST.replace('GET', 'OPTIONS')}HOST: y\r\n\r\n`],
  ['400 invalid_request', 'an invalid host', `${GET}host: x y\r\n\r\n`],
  // The beginning of HTTP/2, of no version.
  ['404 not_found', 'a method of no route', 'PRI /\r\n\r\n'],
  ['431 headers_too_large', 'a large header', `${HOST}x: ${'a'.repeat(20_000)}\r\n\r\n`],
  ['431 headers_too_large', 'a long target', `GET /${'a'.repeat(20_000)} HTTP/1.1\r\n\r\n`],
])('%s, and the connection is closed: %s', async (outcome, _what, bytes) => {
  expect(outcomeOf(await rawRequest(url, bytes))).toBe(outcome);
});

test('an unknown expectation, and an upgrade to another protocol than WebSocket, are ignored', async () => {
  const h2c = {
    connection: 'upgrade, http2-settings, close',
    upgrade: 'h2c',
    'http2-settings': '',
  };
  for (const headers of [{ expect: 'the-spanish-inquisition' }, h2c]) {
    expect((await rawRequest(url, request('GET /', headers))).status).toBe(200);
  }
  const body = '{"joinid":"123456","client1":"a"}';
  const json = { ...h2c, ...type('application/json') };
  const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`;
  for (const bytes of [
    request('POST /api/rooms', json, body),
    request('POST /api/rooms', { ...json, ...CHUNKED }, chunks),
  ]) {
    expect((await rawRequest(url, bytes)).body).toContain('"field":"expiresInSeconds"');
  }
});
