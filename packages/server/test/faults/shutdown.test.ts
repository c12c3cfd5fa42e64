// A shutdown, by SIGTERM under load or by close(): the server is not ready, answers running requests, closes connections in
// groups, and ends in time, whatever clients do.

import { once } from 'node:events';
import { connect } from 'node:net';
import { call, createPending, pairDevices } from '@couplet/testkit/api';
import { startChild } from '@couplet/testkit/child-server';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import { buildApp } from '../../src/app.js';
import { parseConfig } from '../../src/settings/config.js';

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

const HEAD = 'POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json';
const UNFINISHED = `${HEAD}\r\nContent-Length: 99\r\n\r\n{`;

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
  socket.write(`${HEAD}\r\nContent-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`);
  // `100 Continue` shows that the request is being handled.
  await once(socket, 'data');

  server.signal('SIGTERM');
  await all[0]?.closed;
  const ready = await call(url, 'GET', '/readyz');
  const notReady = { error: 'unavailable', details: 'not ready: draining' };
  expect([ready.status, ready.body]).toEqual([503, notReady]);
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
  // A rolling update logs no warning.
  expect(server.output()).not.toMatch(/"level":[456]0/);
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

// Closes per second, SHUTDOWN_SECONDS, and the number of closed connections at each time in milliseconds.
test.each([
  ['a hundred closes per second are five in each twentieth of a second', 100, 10, '5 10@50 12@100'],
  ['one close per second is possible', 1, 10, '1 1@999 2@1000 3@2000'],
  ['a short SHUTDOWN_SECONDS raises the rate, so that all get 1012', 1, 1, '2 16@350 30@700'],
])('%s', async (_title, rate, seconds, groups) => {
  const clock = new FakeClock();
  const server = await startServer(
    { SHUTDOWN_CLOSES_PER_SECOND: String(rate), SHUTDOWN_SECONDS: String(seconds) },
    { clock },
  );
  const steps = groups.split(' ').map((group) => group.split('@').map(Number));
  const count = steps.at(-1)?.[0] as number;
  const all = await peers(server.wsUrl, count);
  const start = clock.monotonic();
  const closing = server.close();
  for (const [closed = 0, atMs = 0] of steps) {
    clock.advance(start + atMs - clock.monotonic());
    for (const peer of all.slice(0, closed)) expect((await peer.closed).code).toBe(1012);
    if (closed < count) expect(await all[closed]?.sync()).toEqual([]);
  }
  await closing;
});

test.each([
  ['a request whose body never arrives is cut off after SHUTDOWN_SECONDS', UNFINISHED, 10_000],
  ['a connection without any request does not delay the shutdown', '', 0],
])('%s', async (_title, bytes, afterMs) => {
  const clock = new FakeClock();
  const server = await startServer({ SHUTDOWN_SECONDS: '10' }, { clock });
  const arrived = once(server.app.server, bytes === '' ? 'connection' : 'request');
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const ended = once(socket, 'close');
  socket.write(bytes);
  await arrived;
  const closing = server.close();
  if (afterMs > 0) {
    await eventually(() => expect(server.app.server.listening).toBe(false));
    expect(socket.destroyed).toBe(false);
    clock.advance(afterMs);
  }
  await Promise.all([ended, closing]);
});

test('for SHUTDOWN_NOTICE_SECONDS, only readiness shows the shutdown, and all clients are served', async () => {
  const clock = new FakeClock();
  const server = await startServer({ SHUTDOWN_NOTICE_SECONDS: '4' }, { clock });
  const closing = server.close();
  await expect.poll(async () => (await call(server.url, 'GET', '/readyz')).status).toBe(503);
  await pairDevices(server.url);
  // So that the client does not send its next request when the server closes idle connections.
  const check = await fetch(`${server.url}/api/rooms/check`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{}',
  });
  expect(check.headers.get('connection')).toBe('close');
  const peer = await Peer.connect(server.wsUrl);
  clock.advance(3999);
  await peer.join('a room');
  clock.advance(1);
  expect(await peer.closed).toMatchObject({ code: 1012 });
  await closing;
});

test.each([
  ['that served', true],
  ['that never listened', false],
])('an app %s has no timers after it closes', async (_title, listens) => {
  const clock = new FakeClock();
  const app = await buildApp(parseConfig({}), { clock });
  if (listens) await app.listen({ port: 0, host: '127.0.0.1' });
  await app.close();
  expect(clock.pending).toBe(0);
});
