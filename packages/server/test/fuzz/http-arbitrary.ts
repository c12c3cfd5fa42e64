// Generates HTTP requests as bytes: valid, odd, broken, and in the forms that smuggle one request inside another.
import fc from 'fast-check';

export interface HttpCase {
  requests: Buffer[];
  cuts: number[];
  ending: 'half-close' | 'reset' | 'silence';
}

const oneOf = (...texts: string[]) => fc.constantFrom(...texts);
const often = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>, times = 4) =>
  fc.oneof({ weight: times, arbitrary: usual }, { weight: 1, arbitrary: odd });
const latin1 = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));

/** One of the texts in a list with ` | ` between them. */
const choice = (list: string) => fc.constantFrom(...list.split(' | '));

const method = often(
  choice('GET | POST | DELETE | OPTIONS | HEAD'),
  fc.oneof(
    choice('PUT | PATCH | TRACE | CONNECT | PRI | M-SEARCH | QUERY | get | G | GETT'),
    oneOf('', ' GET'),
    latin1(12),
  ),
);

const target = often(
  choice('/ | /api/rooms?roomid=x | /api/rooms | /api/rooms/check | /rooms | /healthz | /none'),
  fc.oneof(
    choice('* | // | /% | /%zz | /%00 | /%ff | /..//.. | /api/rooms?roomid=% | /?% | \\'),
    oneOf('', '/ /'),
    // Absolute and authority forms (RFC 9112 §3.2).
    choice('http://x/ | http://x/api/rooms | http://[::1/ | http:/// | ws://x/ | x:443 | http://'),
    oneOf('/'.repeat(3000), `/${'a'.repeat(20_000)}`, `/api/rooms?roomid=${'x'.repeat(9000)}`),
    latin1(40).map((noise) => `/${noise}`),
  ),
);

const version = often(
  oneOf('HTTP/1.1'),
  oneOf('HTTP/1.0', 'HTTP/0.9', 'HTTP/2.0', 'HTTP/9', 'http/1.1', ''),
  8,
);

const header = fc.oneof(
  choice('Host: x | Host: y | Host: | Accept: text/html | Content-Type: ;'),
  oneOf('Content-Type: application/json'),
  choice('Connection: close | Connection: keep-alive, x | Connection: upgrade'),
  choice('Keep-Alive: timeout=0 | Expect: 100-continue | Expect: 200-ok'),
  choice('Prefer: wait=0 | Prefer: wait=1 | Idempotency-Key: k'),
  // Upgrades with or without a body, to supported and unsupported protocols.
  choice('Upgrade: websocket | Upgrade: h2c | Upgrade: , | HTTP2-Settings: x'),
  choice('Sec-WebSocket-Version: 13 | Sec-WebSocket-Version: 8 | Sec-WebSocket-Key: x'),
  oneOf('Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='),
  choice('X-Forwarded-For: 1.2.3.4 | X-Forwarded-For: ,, | X-Forwarded-For: \x01 | Origin: null'),
  choice('Authorization: Bearer x | Access-Control-Request-Method: PUT | Content-Encoding: gzip'),
  // Headers that servers and proxies have interpreted differently: the forms of request smuggling.
  choice('Content-Length: 5 | Content-Length: 0 | Content-Length: -1 | Content-Length: +5'),
  choice('Content-Length: 5, 5 | Content-Length: 0x5 | Content-Length:'),
  choice('Content-Length: 99999999999999999999 | Content-Length: 9007199254740993'),
  choice('Transfer-Encoding: chunked | Transfer-Encoding: xchunked | Transfer-Encoding : chunked'),
  choice('Transfer-Encoding: chunked, identity | Transfer-Encoding: gzip, chunked'),
  oneOf('Transfer-Encoding:\x0bchunked', ' folded: x'),
  oneOf(`X: ${'x'.repeat(20_000)}`, `${'X'.repeat(20_000)}: x`, 'A: b\r\n'.repeat(2500).trim()),
  choice(': x | X | X\x00: y'),
  fc.tuple(latin1(10), latin1(30)).map(([name, value]) => `${name}: ${value}`),
);

const chunkedBody = fc.oneof(
  oneOf(
    '0\r\n\r\n',
    '2\r\n{}\r\n0\r\n\r\n',
    '2;x=y\r\n{}\r\n0\r\nTrailer: x\r\n\r\n',
    '2\r\n{}\r\n0\r\nContent-Length: 9\r\n\r\n',
  ),
  oneOf(
    '2\r\n{}',
    'x\r\n{}\r\n0\r\n\r\n',
    '-2\r\n{}\r\n',
    '2\n{}\n0\n\n',
    'fffffffffffffffff\r\n{}',
    '7fffffffffffffff\r\n{}',
    '2\r\n{}XX0\r\n\r\n',
    ' 2\r\n{}\r\n0\r\n\r\n',
    `2;${'x'.repeat(20_000)}\r\n{}\r\n0\r\n\r\n`,
  ),
);
const bodies = fc.oneof(
  oneOf('', '', '{}', '{"roomid":"x"}', '[', 'GET / HTTP/1.1\r\n\r\n'),
  chunkedBody,
  latin1(60),
);

const lineEnd = often(oneOf('\r\n'), oneOf('\n', '\r', '\n\r'), 12);

/** Made of parts, each of which may be odd. */
const assembled = fc
  .tuple(method, target, version, fc.array(header, { maxLength: 6 }), bodies, lineEnd, fc.boolean())
  .map(([verb, uri, http, headers, body, end, withHost]) =>
    [`${verb} ${uri} ${http}`.trim(), ...(withHost ? ['Host: x'] : []), ...headers, '', body].join(
      end,
    ),
  );

const chunked = fc
  .tuple(oneOf('/api/rooms', '/api/user/purge', '/'), chunkedBody)
  .map(
    ([path, body]) =>
      `POST ${path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n${body}`,
  );

const requests = fc
  .oneof(
    { weight: 6, arbitrary: assembled },
    { weight: 2, arbitrary: chunked },
    { weight: 1, arbitrary: latin1(200) },
  )
  .map((text) => Buffer.from(text, 'latin1'));

/** Up to five requests on one connection, sent without waiting for answers, in pieces of any size. */
export const httpCases: fc.Arbitrary<HttpCase> = fc.record({
  requests: fc.array(requests, { minLength: 1, maxLength: 5 }),
  cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
  ending: fc.oneof(
    { weight: 12, arbitrary: fc.constant<'half-close'>('half-close') },
    { weight: 2, arbitrary: fc.constant<'reset'>('reset') },
    { weight: 1, arbitrary: fc.constant<'silence'>('silence') },
  ),
});

/** A request with both lengths, and another hidden in its body. With either length, only one may be answered. */
export const smugglingCases: fc.Arbitrary<Buffer> = fc
  .record({
    first: fc.constantFrom('Content-Length: 6', 'Content-Length: 0', 'Content-Length: 44'),
    second: fc.constantFrom(
      'Transfer-Encoding: chunked',
      'Transfer-Encoding: CHUNKED',
      'Transfer-Encoding: xchunked',
      'Transfer-Encoding: chunked, identity',
      'Content-Length: 7',
    ),
    swapped: fc.boolean(),
    hidden: fc.constantFrom(
      'GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n',
      'DELETE /api/rooms?roomid=x HTTP/1.1\r\nHost: x\r\n\r\n',
    ),
  })
  .map(({ first, second, swapped, hidden }) => {
    const lengths = swapped ? `${second}\r\n${first}` : `${first}\r\n${second}`;
    const head = `POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n${lengths}\r\n\r\n`;
    return Buffer.from(`${head}0\r\n\r\n${hidden}`, 'latin1');
  });

/** Requests in a row on one connection, and the statuses of their answers; the last may have one of several. */
export interface OrderCase {
  bytes: Buffer;
  cuts: number[];
  statuses: number[];
  last: readonly number[];
}

const inOrder = fc.constantFrom(
  { line: 'GET /healthz', body: '', status: 200 },
  { line: 'GET /nowhere', body: '', status: 404 },
  { line: 'GET /api/rooms', body: '', status: 400 },
  { line: 'OPTIONS /api/rooms', body: '', status: 204 },
  { line: 'POST /api/rooms', body: '{"joinid":""}', status: 400 },
  // Goes to the database, and takes longer than all others.
  { line: 'DELETE /api/rooms', body: '{"roomid":"x"}', status: 200 },
);
const offers = fc.constantFrom(
  '',
  'Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n',
);

/** A WebSocket is opened where all before was answered already, which the cuts decide. */
const endings = fc.constantFrom(
  { bytes: 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n', last: [200] },
  {
    bytes:
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    last: [101, 400],
  },
  { bytes: 'GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n', last: [400] },
  { bytes: 'CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n', last: [404] },
  { bytes: 'hello\r\n\r\nhello\r\n\r\n', last: [400] },
);

export const orderCases: fc.Arbitrary<OrderCase> = fc
  .record({
    requests: fc.array(fc.tuple(inOrder, offers), { minLength: 1, maxLength: 8 }),
    ending: endings,
    cuts: fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 6 }),
  })
  .map(({ requests, ending, cuts }) => ({
    bytes: Buffer.from(
      requests
        .map(
          ([{ line, body }, offer]) =>
            `${line} HTTP/1.1\r\nHost: x\r\n${offer}Content-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
        )
        .join('') + ending.bytes,
    ),
    cuts,
    statuses: requests.map(([{ status }]) => status),
    last: ending.last,
  }));
