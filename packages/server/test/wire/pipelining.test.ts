// Several requests on one connection without waiting (RFC 9112 §9.3.2), including upgrades: each is answered, in order.
import { call, createPending, someDevice } from '@couplet/testkit/api';
import { eventually } from '@couplet/testkit/eventually';
import { scrape } from '@couplet/testkit/prometheus';
import { serverForTest } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { textFrame } from '../fuzz/raw-frames.js';
import {
  RawSocket,
  type RequestHeaders,
  readAnswers,
  request,
  WEBSOCKET,
} from '../support/raw-http.js';

const CLOSE = { connection: 'close' };
const H2C = { connection: 'Upgrade, HTTP2-Settings', upgrade: 'h2c', 'http2-settings': 'AAMAAABk' };
/** A request that is not the last one. */
const more = (line: string, headers: RequestHeaders = {}, body = '') =>
  request(line, { connection: undefined, ...headers }, body);

const HEALTH = more('GET /healthz');
const NOWHERE = more('GET /nowhere');
const UPGRADE = more('GET /', WEBSOCKET);
/** Stands for a check that is held until all bytes are sent. */
const HELD = '(held check)';
const BROKEN_CHUNK = request(
  'POST /api/rooms',
  { 'content-length': undefined, 'transfer-encoding': 'chunked' },
  'x\r\n',
);
const smuggling = (...lengths: string[]) => {
  const head = ['POST /api/rooms HTTP/1.1', 'Host: x', 'Content-Type: application/json'];
  return `${[...head, ...lengths].join('\r\n')}\r\n\r\n0\r\n\r\n${more('DELETE /api/rooms?roomid=x')}`;
};

async function connected() {
  const { url } = await serverForTest();
  const raw = new RawSocket(Number(new URL(url).port));
  onTestFinished(() => raw.destroy());
  return { url, raw };
}

/** Sends the bytes, in pieces, and then accepts the code of the check. */
async function send(
  { url, raw }: { url: string; raw: RawSocket },
  bytes: string,
  cuts: number[] = [],
  whenHeld = () => {},
) {
  if (!bytes.includes(HELD)) return raw.write(bytes, cuts);
  const { joinid, client1 } = await createPending(url);
  const check = more(
    'POST /api/rooms/check',
    { prefer: 'wait=30' },
    JSON.stringify({ joinid, client1 }),
  );
  await raw.write(bytes.replace(HELD, check), cuts);
  await eventually(async () => expect((await scrape(url)).value('couplet_waiting_checks')).toBe(1));
  whenHeld();
  await call(url, 'POST', '/api/rooms/accept', { joinid, client2: someDevice() });
}

const statuses = (raw: RawSocket) => readAnswers(raw.received).map(({ status }) => status);

test.each([
  [
    'requests that offer h2c are answered like all others',
    more('GET /healthz', H2C) +
      NOWHERE +
      HELD +
      more('GET /api/rooms', H2C) +
      more('POST /api/rooms', { ...H2C, 'content-type': 'application/json' }, '{}') +
      more('GET /readyz') +
      more('GET /nowhere', { ...H2C, connection: 'Upgrade, close' }),
    [200, 404, 200, 400, 400, 200, 404],
  ],
  ['a WebSocket behind an unanswered request is refused', HELD + UPGRADE, [200, 400]],
  ['a request behind a refused WebSocket is not read', HELD + UPGRADE + NOWHERE, [200, 400]],
  [
    'frames behind a refused WebSocket are not read',
    HELD + UPGRADE + textFrame('{"type":"ping"}').toString('latin1'),
    [200, 400],
  ],
  ['a CONNECT waits for its turn, too', HEALTH + more('CONNECT x:443'), [200, 404]],
  ['nothing is answered after a close', more('GET /healthz', CLOSE) + UPGRADE, [200]],
  [
    'bytes that are no request wait for their turn',
    `${HELD}${'hello\r\n\r\n'.repeat(3)}`,
    [200, 400],
  ],
  ['a request whose body is broken waits for its turn', HELD + BROKEN_CHUNK, [200, 400]],
  [
    'a header that is too large waits for its turn',
    `${HELD}GET / HTTP/1.1\r\nX: ${'x'.repeat(20_000)}`,
    [200, 431],
  ],
  ['a broken body is answered at once', BROKEN_CHUNK, [400]],
  ...[
    ['Content-Length: 6', 'Transfer-Encoding: chunked'],
    ['Transfer-Encoding: CHUNKED', 'Content-Length: 0'],
    ['Content-Length: 44', 'Transfer-Encoding: xchunked'],
    ['Transfer-Encoding: chunked, identity', 'Content-Length: 6'],
    ['Content-Length: 6', 'Content-Length: 7'],
  ].map((lengths): [string, string, number[]] => [
    `a request hidden by ${lengths.join(' and ')} is not answered`,
    smuggling(...lengths),
    [400],
  ]),
])('%s', async (_title, bytes, expected) => {
  for (const cuts of [[], [0.5, 0.7, 0.9]]) {
    const connection = await connected();
    await send(connection, bytes, cuts);
    await connection.raw.until();
    expect(statuses(connection.raw)).toEqual(expected);
  }
});

test('a WebSocket opens on a connection whose requests are answered', async () => {
  const { raw } = await connected();
  await raw.write(HEALTH);
  await raw.until((received) => received.includes('\r\n\r\n{'));
  await raw.write(UPGRADE);
  await raw.until((received) => received.includes('"type":"connected"'));
  expect(statuses(raw)).toEqual([200, 101]);
});

test.each([
  ['an upgrade to h2c', more('GET /', H2C)],
  ['a WebSocket', UPGRADE],
])('%s whose client disconnects before its turn has no effect', async (_what, upgrade) => {
  const connection = await connected();
  await send(connection, HELD + upgrade, [], () => connection.raw.socket.resetAndDestroy());
  expect((await fetch(`${connection.url}/healthz`)).status).toBe(200);
});
