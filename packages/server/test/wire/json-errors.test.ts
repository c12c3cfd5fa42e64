// Every error is JSON, for invalid bodies, types and routes, and for bytes that are not HTTP. docs/protocol.md §3.
import { gzipSync } from 'node:zlib';
import { call } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { describe, expect, test } from 'vitest';
import { rawRequest } from '../support/raw-http.js';

const { url } = await serverUnderTest();
const POSTS = [
  '/api/rooms',
  '/api/rooms/accept',
  '/api/rooms/check',
  '/api/rooms/cancel',
  '/api/user/purge',
];
const post = (path: string, body: BodyInit, contentType = 'application/json') =>
  fetch(url + path, { method: 'POST', headers: { 'content-type': contentType }, body });

describe.each(POSTS)('POST %s', (path) => {
  test.each([
    ['text', 'hello'],
    ['half an object', '{"joinid":"123456"'],
    ['a form', 'joinid=123456&client1=a'],
    ['an object with a trailing comma', '{"joinid":"123456",}'],
    ['two objects', '{}{}'],
    ['NaN', '{"expiresInSeconds":NaN}'],
    ['a byte order mark alone', '\ufeff'],
    ['an array', '[{"joinid":"123456"}]'],
    ['a string', '"123456"'],
    ['a number', '5'],
    ['true', 'true'],
    ['spaces', '  '],
    ['nested 33 levels deep', `{"x":${'['.repeat(32)}${']'.repeat(32)}}`],
    ['nested 20,000 levels deep', `{"x":${'['.repeat(20_000)}${']'.repeat(20_000)}}`],
    ['of more values than any request needs', `{"x":[${'0,'.repeat(9_999)}0]}`],
  ])('a body that is %s is 400 invalid_json', async (_name, body) => {
    const answer = await post(path, body);
    expect(answer.status).toBe(400);
    expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
    expect(await answer.json()).toStrictEqual({
      error: 'invalid_json',
      details: expect.stringMatching(/^the body must be/),
    });
  });

  test.each([
    ['a stray continuation byte', [0x80]],
    ['an overlong NUL', [0xc0, 0x80]],
    ['a surrogate in UTF-8', [0xed, 0xa0, 0x80]],
    ['half a character', [0xe2, 0x82]],
  ])('a body with %s is 400 invalid_json', async (_name, bytes) => {
    const body = Buffer.concat([
      Buffer.from('{"joinid":"'),
      Buffer.from(bytes),
      Buffer.from('","deviceId":"a","client1":"a","client2":"a","expiresInSeconds":5}'),
    ]);
    const answer = await post(path, body);
    expect(answer.status).toBe(400);
    expect(await answer.json()).toMatchObject({ error: 'invalid_json' });
  });

  test.each(['', 'null', '{}'])('a body of “%s” lacks its fields', async (body) => {
    const answer = await post(path, body);
    expect(answer.status).toBe(400);
    expect((await answer.json()).error).toMatch(/^missing_/);
  });

  test('without a body and a content type, the fields are missing', async () => {
    const answer = await call(url, 'POST', path);
    expect(answer.status).toBe(400);
    expect(answer.body?.error).toMatch(/^missing_/);
  });

  test('a body that is too large is 413 payload_too_large', async () => {
    const answer = await post(path, JSON.stringify({ client1: 'x'.repeat(3_000_000) }));
    expect(answer.status).toBe(413);
    expect(await answer.json()).toStrictEqual({ error: 'payload_too_large' });
  });

  test.each([
    'text/plain',
    'text/json',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'application/xml',
    'nonsense',
    '*/*',
  ])('a body of type %s is 415 unsupported_media_type', async (contentType) => {
    const answer = await post(path, '{}', contentType);
    expect(answer.status).toBe(415);
    expect(await answer.json()).toStrictEqual({ error: 'unsupported_media_type' });
  });

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'APPLICATION/JSON;charset=UTF-8',
  ])('a body of type %s is read', async (contentType) => {
    expect((await (await post(path, '{}', contentType)).json()).error).toMatch(/^missing_/);
  });

  test.each(['gzip', 'br', 'x, identity', 'GZIP'])(
    'a body in the coding %s is 415, and the answer lists the supported codings',
    async (coding) => {
      const answer = await fetch(url + path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'content-encoding': coding },
        body: gzipSync('{}'),
      });
      expect(answer.status).toBe(415);
      expect(answer.headers.get('accept-encoding')).toBe('identity');
      expect(await answer.json()).toMatchObject({ error: 'unsupported_media_type' });
    },
  );

  test('a body marked as not compressed is read', async () => {
    const answer = await call(url, 'POST', path, {}, { 'content-encoding': 'Identity' });
    expect(answer.body?.error).toMatch(/^missing_/);
  });

  test.each(['text/plain', 'json', 'application/x-www-form-urlencoded', ';', ''])(
    'the type %j of an empty body is ignored',
    async (type) => {
      for (const length of ['content-length: 0', 'x: no length']) {
        const answer = await rawRequest(
          url,
          `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ${type}\r\n${length}\r\n\r\n`,
        );
        expect(answer.status).toBe(400);
        expect(JSON.parse(answer.body).error).toMatch(/^missing_/);
      }
    },
  );

  test.each(['text/plain', 'garbage', ''])(
    'the type of an empty chunked body is ignored: "%s"',
    async (type) => {
      const answer = await rawRequest(
        url,
        `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      );
      expect(JSON.parse(answer.body).error).toMatch(/^missing_/);
    },
  );

  test('a body without a type is 415 unsupported_media_type', async () => {
    const answer = await rawRequest(
      url,
      `POST ${path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}`,
    );
    expect(answer.status).toBe(415);
    expect(JSON.parse(answer.body)).toStrictEqual({ error: 'unsupported_media_type' });
  });
});

test('a chunked body that is too large is 413, too', async () => {
  const chunk = `ffff\r\n${'x'.repeat(0xffff)}\r\n`;
  const answer = await rawRequest(
    url,
    `POST /api/rooms HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n${chunk}${chunk}`,
  );
  expect(answer.status).toBe(413);
  expect(JSON.parse(answer.body)).toStrictEqual({ error: 'payload_too_large' });
});

test('a body of 60 KB is within the limit', async () => {
  const answer = await post('/api/rooms', JSON.stringify({ padding: 'x'.repeat(60_000) }));
  expect((await answer.json()).error).toBe('missing_field');
});

test.each([
  ['GET', '/nowhere'],
  ['POST', '/nowhere'],
  ['GET', '/api'],
  ['GET', '/api/rooms/'],
  ['GET', '/api/rooms/accept'],
  ['GET', '/API/rooms'],
  ['PUT', '/api/rooms'],
  ['PATCH', '/api/rooms'],
  ['POST', '/'],
  ['DELETE', '/rooms'],
  ['GET', '/api/user/purge'],
  ['GET', '/../etc/passwd'],
  ['GET', '/<script>'],
  ['GET', '/%00'],
  ['GET', '/%zz'],
  ['GET', '/%'],
])('%s %s is 404 not_found', async (method, path) => {
  const answer = await call(url, method, path);
  expect(answer.status).toBe(404);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  expect(answer.body).toStrictEqual({ error: 'not_found' });
});

test.each([
  // It would need a content type.
  'QUERY / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n',
  // The beginning of HTTP/2, of no version.
  'PRI /\r\n\r\n',
])('a method of no route is 404 not_found: %j', async (bytes) => {
  const answer = await rawRequest(url, bytes);
  expect(answer.status).toBe(404);
  expectUnkept(answer.head);
  expect(JSON.parse(answer.body)).toStrictEqual({ error: 'not_found' });
});

const header = (line: string) =>
  `GET / HTTP/1.1\r\nhost: x\r\n${line}\r\nconnection: close\r\n\r\n`;

test.each([
  ['that is no HTTP', 'hello\r\n\r\n', 400, 'invalid_request'],
  ['of TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', 400, 'invalid_request'],
  ['with an unknown method', 'BREW / HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'invalid_request'],
  ['of another version', 'GET / HTTP/9.9\r\nhost: x\r\n\r\n', 400, 'invalid_request'],
  ['with a space in the target', 'GET /a b HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'invalid_request'],
  ['with a broken header', header('no colon'), 400, 'invalid_request'],
  ['with a broken length', header('content-length: x'), 400, 'invalid_request'],
  [
    'with two lengths',
    header('content-length: 1\r\ntransfer-encoding: chunked'),
    400,
    'invalid_request',
  ],
  ['without a host', 'GET / HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'invalid_request'],
  ['with two hosts', header('host: x'), 400, 'invalid_request'],
  [
    'with two hosts and a bare OPTIONS',
    'OPTIONS / HTTP/1.1\r\nHost: x\r\nHOST: y\r\n\r\n',
    400,
    'invalid_request',
  ],
  ['for what is no host', 'GET / HTTP/1.1\r\nhost: x y\r\n\r\n', 400, 'invalid_request'],
  ['for a tunnel', 'CONNECT x:443 HTTP/1.1\r\nhost: x:443\r\n\r\n', 404, 'not_found'],
  ['with a header too large', header(`x: ${'a'.repeat(20_000)}`), 431, 'headers_too_large'],
  [
    'with a target too long',
    `GET /${'a'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`,
    431,
    'headers_too_large',
  ],
])('a request %s is answered in JSON, and closed', async (_name, bytes, status, error) => {
  const answer = await rawRequest(url, bytes);
  expect(answer.status).toBe(status);
  expect(answer.head).toMatch(/content-type: application\/json/);
  expectUnkept(answer.head);
  expect(JSON.parse(answer.body)).toStrictEqual({ error });
});

test('a path without a route is 404, with any body', async () => {
  for (const [type, body] of [
    ['application/json', '{'],
    ['text/plain', 'x'],
  ] as const) {
    const answer = await post('/nowhere', body, type);
    expect([answer.status, await answer.json()]).toEqual([404, { error: 'not_found' }]);
  }
});

/** By default, RFC 9111 lets a cache store even 404 responses. */
function expectUnkept(head: string): void {
  expect(head.match(/^cache-control: .*$/gm)).toEqual(['cache-control: no-store']);
  expect(head.match(/^x-content-type-options: .*$/gm)).toEqual(['x-content-type-options: nosniff']);
}

test.each([
  ['GET', '/', 200],
  ['HEAD', '/', 200],
  ['GET', '/healthz', 200],
  ['GET', '/readyz', 200],
  ['GET', '/rooms', 200],
  ['GET', '/metrics', 200],
  ['GET', '/openapi.json', 200],
  ['GET', '/api/rooms?roomid=unknown', 404],
  ['DELETE', '/api/rooms?roomid=unknown', 200],
  ['GET', '/api/rooms', 400],
  ['GET', '/nowhere', 404],
  ['GET', '/%zz', 404],
  ['OPTIONS', '/api/rooms', 204],
  ['QUERY', '/', 404],
])(
  'caches do not store the answer to %s %s, and browsers do not sniff its type',
  async (method, path, status) => {
    const { host } = new URL(url);
    const answer = await rawRequest(
      url,
      `${method} ${path} HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`,
    );
    expect(answer.status).toBe(status);
    expectUnkept(answer.head);
  },
);

test('an unknown expectation is ignored', async () => {
  const answer = await rawRequest(url, header('expect: the-spanish-inquisition'));
  expect(answer.status).toBe(200);
});

test('an upgrade to another protocol than WebSocket is ignored, also with a body', async () => {
  const upgrade =
    'connection: upgrade, http2-settings, close\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk';
  const got = await rawRequest(url, `GET / HTTP/1.1\r\nhost: x\r\n${upgrade}\r\n\r\n`);
  expect(got.status).toBe(200);
  const body = '{"joinid":"123456","client1":"a"}';
  for (const rest of [
    `content-length: ${body.length}\r\n\r\n${body}`,
    `transfer-encoding: chunked\r\n\r\n${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`,
  ]) {
    const answer = await rawRequest(
      url,
      `POST /api/rooms HTTP/1.1\r\nhost: x\r\n${upgrade}\r\ncontent-type: application/json\r\n${rest}`,
    );
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.body)).toMatchObject({ field: 'expiresInSeconds' });
  }
});

test('an error quotes no part of the request', async () => {
  const secret = 'S3CRET-4711';
  for (const path of POSTS) {
    for (const body of [`{"joinid":"${secret}`, JSON.stringify({ joinid: [secret], client1: 1 })]) {
      expect(await (await post(path, body)).text()).not.toContain(secret);
    }
  }
  expect(await (await fetch(`${url}/${secret}?${secret}`)).text()).not.toContain(secret);
});
