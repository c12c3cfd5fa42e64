// Sockets that never finish a request are closed within REQUEST_TIMEOUT_SECONDS, while others are served.
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
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

/** Opens a socket and sends bytes. `end` resolves to the answer and the time until the socket was closed. */
async function open(url: string, bytes: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  await once(socket, 'connect');
  const start = performance.now();
  const end = text(socket).then((answer) => ({ answer, afterMs: performance.now() - start }));
  if (bytes !== '') socket.write(bytes);
  return { socket, end };
}

/** Points at which a request stops. */
const BEGINNINGS = ['', 'GET /api/ro', HANDSHAKE, `${HEAD}Content-Length: 99\r\n\r\n`];

test('a thousand sockets that stop before or within the request line, within the opening handshake or before the body are closed in time, and a healthy pair is served', async ({
  annotate,
}) => {
  const { url, wsUrl, metric } = await startChild({ REQUEST_TIMEOUT_SECONDS: '1' });
  const exchange = exchangeMessages(await pairOfPeers(wsUrl, 'healthy'));
  const opened = await Promise.all(
    Array.from({ length: SOCKETS }, (_, n) => open(url, BEGINNINGS[n % BEGINNINGS.length] ?? '')),
  );
  await eventually(async () => expect((await call(url, 'GET', '/healthz')).status).toBe(200));
  const ends = await Promise.all(opened.map(({ end }) => end));
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

test('a header, a body and a chunked body that arrive byte by byte have the same timeout', async () => {
  const { url } = await startChild({ REQUEST_TIMEOUT_SECONDS: '1' });
  const opened = [
    await open(url, `${HEAD}X-Slow: `),
    await open(url, `${HEAD}Content-Length: 999\r\n\r\n{"joinid":"`),
    await open(url, `${HEAD}Transfer-Encoding: chunked\r\n\r\nffff\r\n`),
  ];
  for (const { socket } of opened) {
    // So slowly that the request would never end.
    const timer = setInterval(() => socket.writable && socket.write('x'), 100);
    socket.once('close', () => clearInterval(timer));
  }
  for (const { end } of opened) {
    const { answer, afterMs } = await end;
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(afterMs).toBeLessThan(BOUND_MS);
  }
});
