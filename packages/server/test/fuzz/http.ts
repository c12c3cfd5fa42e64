// Fuzzes the HTTP port with bytes: valid, odd and broken requests, and the forms that smuggle one request inside another. Each
// answer is a documented one.
import { REST_ERRORS, type RestErrorCode } from '@couplet/protocol';
import fc from 'fast-check';
import { ANSWER_HEADERS } from '../../src/http/errors.js';
import { type RawAnswer, RawSocket, readAnswers } from '../support/raw-http.js';

interface HttpCase {
  requests: Buffer[];
  cuts: number[];
  ending: 'half-close' | 'reset' | 'silence';
}

const oneOf = (...texts: string[]) => fc.constantFrom(...texts);
const often = <T>(usual: fc.Arbitrary<T>, odd: fc.Arbitrary<T>, times = 4) =>
  fc.oneof({ weight: times, arbitrary: usual }, { weight: 1, arbitrary: odd });
const latin1 = (maxLength: number) =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1'));

/** One of the texts in a list with `|` between them. */
const choice = (list: string) => fc.constantFrom(...list.split(/\s+\| /));

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
  choice(`Host: x | Host: y | Host: | Accept: text/html | Content-Type: ; | Expect: 100-continue | Expect: 200-ok
    | Content-Type: application/json | Connection: close | Connection: keep-alive, x | Connection: upgrade
    | Keep-Alive: timeout=0 | Prefer: wait=0 | Prefer: wait=1 | Idempotency-Key: k | Authorization: Bearer x
    | X-Forwarded-For: 1.2.3.4 | X-Forwarded-For: ,, | X-Forwarded-For: \x01 | Origin: null
    | Access-Control-Request-Method: PUT | Content-Encoding: gzip`),
  // Upgrades with or without a body, to supported and unsupported protocols.
  choice(`Upgrade: websocket | Upgrade: h2c | Upgrade: , | HTTP2-Settings: x | Sec-WebSocket-Version: 13
    | Sec-WebSocket-Version: 8 | Sec-WebSocket-Key: x | Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==`),
  // Headers that servers and proxies have interpreted differently: the forms of request smuggling.
  choice(`Content-Length: 5 | Content-Length: 0 | Content-Length: -1 | Content-Length: +5 | Content-Length: 5, 5
    | Content-Length: 0x5 | Content-Length: | Content-Length: 99999999999999999999
    | Content-Length: 9007199254740993`),
  choice(`Transfer-Encoding: chunked | Transfer-Encoding: xchunked | Transfer-Encoding : chunked
    | Transfer-Encoding: chunked, identity | Transfer-Encoding: gzip, chunked`),
  oneOf('Transfer-Encoding:\x0bchunked', ' folded: x', ': x', 'X', 'X\x00: y'),
  oneOf(`X: ${'x'.repeat(20_000)}`, `${'X'.repeat(20_000)}: x`, 'A: b\r\n'.repeat(2500).trim()),
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

/** Sends the bytes and checks every answer. */
export async function judgeHttp(
  port: number,
  { requests: sent, cuts, ending }: HttpCase,
): Promise<void> {
  const raw = new RawSocket(port);
  const bytes = Buffer.concat(sent);
  try {
    await raw.write(bytes, cuts);
    if (ending === 'reset') return void raw.socket.resetAndDestroy();
    if (ending === 'half-close') raw.socket.end();
    // A connection that sends nothing gets an answer or a timeout error.
    await raw.until((received) => ending === 'silence' && received.includes('\r\n\r\n'));
    if (ending === 'silence') {
      raw.socket.end();
      await raw.until();
    }
    // If the requests may include a HEAD, it cannot be seen from outside which answers have a body.
    if (!bytes.includes('HEAD'))
      for (const answer of readAnswers(raw.received)) judgeAnswer(answer);
    else if (raw.received.includes('HTTP/1.1 500 '))
      throw new Error(raw.received.toString('latin1'));
  } finally {
    raw.destroy();
  }
}

/** Documented answers that are not JSON: the page, the upgrade, the empty ones. */
function judgeAnswer({ status, headers, body }: RawAnswer): void {
  const described = `${status} ${body.slice(0, 200)}`;
  if (status === 101 || (status === 204 && body === '')) return;
  for (const [name, value] of Object.entries(ANSWER_HEADERS)) {
    if (headers.get(name) !== value) throw new Error(`without ${name}: ${described}`);
  }
  const type = headers.get('content-type') ?? '';
  if (status === 200) {
    if (/^text\/(html|plain); charset=utf-8$/.test(type) && body.includes('is running')) return;
    JSON.parse(body);
    return;
  }
  if (!type.startsWith('application/json')) throw new Error(`not JSON: ${type} ${described}`);
  const { error } = JSON.parse(body) as { error: RestErrorCode };
  if (REST_ERRORS[error]?.status !== status || error === 'internal_error') {
    throw new Error(`not as in the table: ${described}`);
  }
}
