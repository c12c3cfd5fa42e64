// Sockets that never finish a request are closed within REQUEST_TIMEOUT_SECONDS, while others are served.
import { once } from 'node:events';
import { connect } from 'node:net';
import { call } from '@couplet/testkit/api';
import { startChild } from '@couplet/testkit/child-server';
import { eventually } from '@couplet/testkit/eventually';
import { exchangeMessages, pairOfPeers } from '@couplet/testkit/peer';
import { expect, onTestFinished, test } from 'vitest';

const SOCKETS = 1000;

/** Far more than the timeout of one second, and less than any other timeout of a socket. */
const BOUND_MS = 30_000;

const HEAD = 'POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n';
const HANDSHAKE = 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';

/** Points at which a request stops. */
const BEGINNINGS = ['', 'GET /api/ro', HANDSHAKE, `${HEAD}Content-Length: 99\r\n\r\n`];
/** Points after which a header, a body and a chunked body arrive byte by byte, so slowly that they would never end. */
const SLOW = [
  `${HEAD}X-Slow: `,
  `${HEAD}Content-Length: 999\r\n\r\n{"joinid":"`,
  `${HEAD}Transfer-Encoding: chunked\r\n\r\nffff\r\n`,
];

/** Opens a socket and sends bytes; resolves to the answer and the time until the socket was closed. */
async function send(url: string, bytes: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  const start = performance.now();
  let answer = '';
  socket.setEncoding('utf8').on('data', (text) => {
    answer += text;
  });
  socket.write(bytes);
  const isSlow = SLOW.includes(bytes);
  const timer = setInterval(() => isSlow && socket.writable && socket.write('x'), 100);
  // Not by a stream's consumer: a byte that meets the closed socket is an error, and no fault.
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(timer);
  return { answer, afterMs: performance.now() - start };
}

test('a thousand sockets that stop anywhere in a request, or send it byte by byte, are closed in time, and a healthy pair is served', async ({
  annotate,
}) => {
  const { url, wsUrl, metric } = await startChild({ REQUEST_TIMEOUT_SECONDS: '1' });
  const exchange = exchangeMessages(await pairOfPeers(wsUrl, 'healthy'));
  const stopping = Array.from(
    { length: SOCKETS },
    (_, n) => BEGINNINGS[n % BEGINNINGS.length] ?? '',
  );
  const sent = Promise.all([...stopping, ...SLOW].map((bytes) => send(url, bytes)));
  await eventually(async () => expect((await call(url, 'GET', '/healthz')).status).toBe(200));
  const ends = await sent;
  await exchange.stop();
  const worstMs = exchange.worstMs();
  const last = Math.max(...ends.map(({ afterMs }) => afterMs));
  await annotate(
    `${SOCKETS} unfinished sockets: gone after ${last.toFixed(0)} ms, worst round of a healthy client ${worstMs.toFixed(0)} ms`,
  );
  expect(last).toBeLessThan(BOUND_MS);
  for (const { answer } of ends) expect(answer).toMatch(/^HTTP\/1\.1 408 [\s\S]*"request_timeout"/);
  // The pair, and the connection that reads the metrics.
  await eventually(async () => expect(await metric('couplet_sockets')).toBeLessThan(10));
});
