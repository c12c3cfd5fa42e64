// Closing the app takes at most SHUTDOWN_SECONDS, whatever clients do.
import { once } from 'node:events';
import { connect } from 'node:net';
import { call, pairDevices } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { buildApp } from '../src/app.js';
import { parseConfig } from '../src/settings/config.js';

test('a request whose body never arrives is cut off after SHUTDOWN_SECONDS', async () => {
  const clock = new FakeClock();
  const server = await startServer({ SHUTDOWN_SECONDS: '10' }, { clock });
  const arrived = once(server.app.server, 'request');
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => {});
  const cutOff = once(socket, 'close');
  socket.write(
    'POST /api/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{',
  );
  await arrived;
  const closing = server.close();
  const stoppedListening = new Promise<void>((resolve) => {
    const look = () => (server.app.server.listening ? setImmediate(look) : resolve());
    look();
  });
  await stoppedListening;
  expect(socket.destroyed).toBe(false);
  clock.advance(10_000);
  await Promise.all([cutOff, closing]);
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

test('a connection without any request does not delay the shutdown', async () => {
  const clock = new FakeClock();
  const server = await startServer({}, { clock });
  const arrived = once(server.app.server, 'connection');
  const spare = connect(Number(new URL(server.url).port), '127.0.0.1');
  onTestFinished(() => void spare.destroy());
  spare.on('error', () => {});
  const ended = once(spare, 'close');
  await arrived;
  // The test clock does not advance, so nothing is cut off by a timeout.
  await server.close();
  await ended;
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
