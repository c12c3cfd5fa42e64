// SIGTERM under load: the server is not ready, answers running requests, closes connections in groups, and ends in time.

import { once } from 'node:events';
import { connect } from 'node:net';
import { call, createPending } from '@couplet/testkit/api';
import { startChild } from '@couplet/testkit/child-server';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';

/** Opens a connection that never answers a close, because its socket is not read. */
async function deafPeer(wsUrl: string): Promise<Peer> {
  const peer = await Peer.connect(wsUrl);
  peer.socket.pause();
  return peer;
}

const peers = async (wsUrl: string, count: number) => {
  const all: Peer[] = [];
  for (let n = 0; n < count; n++) all.push(await Peer.connect(wsUrl));
  return all;
};

test('after SIGTERM, readiness fails, requests and held checks are answered, connections are closed one after the other with 1012, and the exit code is 0', async () => {
  const server = await startChild({ SHUTDOWN_CLOSES_PER_SECOND: '1', SHUTDOWN_SECONDS: '300' });
  const { url, wsUrl } = server;
  // At one close per second, some are still open at the end of the test, even on a slow machine.
  const all = await peers(wsUrl, 250);
  const pending = await createPending(url);
  const held = call(url, 'POST', '/api/rooms/check', pending, { prefer: 'wait=30' });
  await eventually(async () => expect(await server.metric('couplet_waiting_checks')).toBe(1));
  const body = JSON.stringify({ joinid: '000001', client1: 'late', expiresInSeconds: 60 });
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  const head = [
    'POST /api/rooms HTTP/1.1',
    'Host: x',
    'Content-Type: application/json',
    `Content-Length: ${body.length}`,
    'Expect: 100-continue',
  ];
  socket.write(`${head.join('\r\n')}\r\n\r\n`);
  // `100 Continue` shows that the request is being handled.
  await once(socket, 'data');

  server.signal('SIGTERM');
  await all[0]?.closed;
  const ready = await call(url, 'GET', '/readyz');
  expect([ready.status, ready.body?.error]).toEqual([503, 'unavailable']);
  expect((await call(url, 'GET', '/healthz')).status).toBe(200);
  const fresh = await call(url, 'POST', '/api/rooms', { joinid: '000002', client1: 'x' });
  expect([fresh.status, fresh.headers.get('retry-after') !== null]).toEqual([503, true]);
  await expect(Peer.connect(wsUrl)).rejects.toThrow();
  expect((await held).status).toBe(204);
  const answered = once(socket, 'data');
  socket.write(body);
  expect(String((await answered)[0])).toMatch(/^HTTP\/1\.1 201 /);
  for (const peer of all.slice(0, 2))
    expect(await peer.closed).toStrictEqual({ code: 1012, reason: 'service_restart' });
  // A connection that is not closed yet is served.
  expect(await all.at(-1)?.sync()).toEqual([]);
  for (const peer of all) peer.socket.close();
  expect(await server.exited).toBe(0);
});

test('a client that ignores the close is dropped after SHUTDOWN_SECONDS, others are not delayed, and the exit code is 0', async () => {
  const server = await startChild({ SHUTDOWN_SECONDS: '1' });
  const deaf = await deafPeer(server.wsUrl);
  const polite = await Peer.connect(server.wsUrl);
  const start = performance.now();
  server.signal('SIGTERM');
  expect((await polite.closed).code).toBe(1012);
  expect(await server.exited).toBe(0);
  const tookMs = performance.now() - start;
  expect(tookMs).toBeGreaterThan(900);
  expect(deaf.socket.readyState).toBe(WebSocket.OPEN);
});

test.each([
  ['SIGTERM', 'SIGTERM'],
  ['SIGINT', 'SIGTERM'],
] as const)('%s and then %s ends at once with exit code 1', async (first, second) => {
  const server = await startChild({ SHUTDOWN_SECONDS: '300' });
  await deafPeer(server.wsUrl);
  const polite = await Peer.connect(server.wsUrl);
  server.signal(first);
  await polite.closed;
  server.signal(second);
  expect(await server.exited).toBe(1);
});

test.each([
  // Closes per second, SHUTDOWN_SECONDS, connections; then the time of each group, and the number closed by then.
  [
    'a hundred closes per second are five in each twentieth of a second',
    100,
    10,
    12,
    [
      [0, 5],
      [50, 10],
      [100, 12],
    ],
  ],
  [
    'one close per second is possible',
    1,
    10,
    3,
    [
      [0, 1],
      [999, 1],
      [1000, 2],
      [2000, 3],
    ],
  ],
  [
    'a short SHUTDOWN_SECONDS raises the rate, so that all get 1012',
    1,
    1,
    30,
    [
      [0, 2],
      [350, 16],
      [700, 30],
    ],
  ],
] as const)('%s', async (_title, rate, seconds, count, groups) => {
  const clock = new FakeClock();
  const server = await startServer(
    { SHUTDOWN_CLOSES_PER_SECOND: String(rate), SHUTDOWN_SECONDS: String(seconds) },
    { clock },
  );
  const all = await peers(server.wsUrl, count);
  const start = clock.monotonic();
  const closing = server.close();
  for (const [atMs, closed] of groups) {
    clock.advance(start + atMs - clock.monotonic());
    for (const peer of all.slice(0, closed)) expect((await peer.closed).code).toBe(1012);
    if (closed < count) expect(await all[closed]?.sync()).toEqual([]);
  }
  await closing;
});
