// Several requests on one connection without waiting (RFC 9112 §9.3.2), including upgrades: each is answered, in order.

import { call, createPending, someDevice } from '@couplet/testkit/api';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { readAnswers } from '../fuzz/raw-answers.js';
import { textFrame } from '../fuzz/raw-frames.js';
import { RawSocket } from '../fuzz/raw-socket.js';

async function connected() {
  const { url, close } = await startServer();
  const raw = new RawSocket(Number(new URL(url).port));
  onTestFinished(async () => {
    raw.destroy();
    await close();
  });
  return { url, raw };
}

const request = (line: string, headers: string[] = [], body = '') =>
  [
    `${line} HTTP/1.1`,
    'Host: localhost',
    ...headers,
    `Content-Length: ${body.length}`,
    '',
    body,
  ].join('\r\n');
const H2C = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'];
const WEBSOCKET = [
  'Connection: Upgrade',
  'Upgrade: websocket',
  'Sec-WebSocket-Version: 13',
  'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
];
const CLOSE = ['Connection: close'];

/** A check that is held, and a function that causes its answer. */
async function heldCheck(url: string) {
  const { joinid, client1 } = await createPending(url);
  const check = request(
    'POST /api/rooms/check',
    ['Prefer: wait=30', 'Content-Type: application/json'],
    JSON.stringify({ joinid, client1 }),
  );
  const accept = async () => {
    await expect
      .poll(
        async () =>
          (await (await fetch(`${url}/metrics`)).text()).match(
            /^couplet_waiting_checks (\d+)/m,
          )?.[1],
      )
      .toBe('1');
    await call(url, 'POST', '/api/rooms/accept', { joinid, client2: someDevice() });
  };
  return { check, accept };
}

const statuses = (raw: RawSocket) => readAnswers(raw.received).map(({ status }) => status);

test('requests that offer h2c are answered like all others, each once and in order', async () => {
  const { url, raw } = await connected();
  const { check, accept } = await heldCheck(url);
  await raw.write(
    Buffer.from(
      [
        request('GET /healthz', H2C),
        request('GET /nowhere'),
        check,
        request('GET /api/rooms', H2C),
        request('POST /api/rooms', [...H2C, 'Content-Type: application/json'], '{}'),
        request('GET /readyz'),
        request('GET /nowhere', [...H2C, 'Connection: close']),
      ].join(''),
    ),
  );
  await accept();
  await raw.until();
  expect(statuses(raw)).toEqual([200, 404, 200, 400, 400, 200, 404]);
});

test.each([
  ['nothing', ''],
  ['another request', request('DELETE /api/rooms?roomid=x')],
  ['frames', textFrame('{"type":"ping"}').toString('latin1')],
])(
  'a WebSocket behind an unanswered request is refused after that request is answered; %s after it is not read',
  async (_what, rest) => {
    const { url, raw } = await connected();
    const { check, accept } = await heldCheck(url);
    await raw.write(Buffer.from(check + request('GET /', WEBSOCKET) + rest, 'latin1'));
    await accept();
    await raw.until();
    expect(statuses(raw)).toEqual([200, 400]);
  },
);

test('a WebSocket opens on a connection whose requests are answered', async () => {
  const { raw } = await connected();
  await raw.write(Buffer.from(request('GET /healthz')));
  await raw.until((received) => received.includes('\r\n\r\n{'));
  await raw.write(Buffer.from(request('GET /', WEBSOCKET)));
  await raw.until((received) => received.includes('"type":"connected"'));
  expect(statuses(raw)).toEqual([200, 101]);
});

test('a CONNECT waits for its turn, too', async () => {
  const { raw } = await connected();
  await raw.write(Buffer.from(request('GET /healthz') + request('CONNECT x:443')));
  await raw.until();
  expect(statuses(raw)).toEqual([200, 404]);
});

test.each([
  ['an upgrade to h2c', request('GET /', H2C)],
  ['a WebSocket', request('GET /', WEBSOCKET)],
])(
  '%s whose client disconnects before its turn has no effect on others',
  async (_what, upgrade) => {
    const { url, raw } = await connected();
    const { check, accept } = await heldCheck(url);
    await raw.write(Buffer.from(check + upgrade));
    raw.socket.resetAndDestroy();
    await accept();
    expect((await fetch(`${url}/healthz`)).status).toBe(200);
  },
);

test('after an answer that closes the connection, later requests get no answer', async () => {
  const { raw } = await connected();
  await raw.write(Buffer.from(request('GET /healthz', CLOSE) + request('GET /', WEBSOCKET)));
  await raw.until();
  expect(statuses(raw)).toEqual([200]);
});

const BROKEN_CHUNK = [
  'POST /api/rooms HTTP/1.1',
  'Host: x',
  'Content-Type: application/json',
  'Transfer-Encoding: chunked',
  '',
  'x',
  '',
].join('\r\n');

test.each([
  ['bytes that are no request', 'hello\r\n\r\n'.repeat(3), 400],
  ['a request whose body is broken', BROKEN_CHUNK, 400],
  ['a header that is too large', `GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`, 431],
])('%s behind a held request: the held request is answered first', async (_what, bytes, status) => {
  const { url, raw } = await connected();
  const { check, accept } = await heldCheck(url);
  await raw.write(Buffer.from(check));
  await raw.write(Buffer.from(bytes), [0.3, 0.6]);
  await accept();
  await raw.until();
  expect(statuses(raw)).toEqual([200, status]);
});

test('a request with an invalid body is answered at once', async () => {
  const { raw } = await connected();
  await raw.write(Buffer.from(BROKEN_CHUNK));
  await raw.until();
  expect(statuses(raw)).toEqual([400]);
});

test.each([
  ['Content-Length: 6', 'Transfer-Encoding: chunked'],
  ['Transfer-Encoding: CHUNKED', 'Content-Length: 0'],
  ['Content-Length: 44', 'Transfer-Encoding: xchunked'],
  ['Transfer-Encoding: chunked, identity', 'Content-Length: 6'],
  ['Content-Length: 6', 'Content-Length: 7'],
])('a request hidden in the body of one with %s and %s is not answered', async (...lengths) => {
  const { raw } = await connected();
  const head = [
    'POST /api/rooms HTTP/1.1',
    'Host: x',
    'Content-Type: application/json',
    ...lengths,
  ];
  const hidden = request('DELETE /api/rooms?roomid=x');
  await raw.write(Buffer.from(`${head.join('\r\n')}\r\n\r\n0\r\n\r\n${hidden}`));
  await raw.until();
  expect(statuses(raw)).toEqual([400]);
});
