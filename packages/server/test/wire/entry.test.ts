// Access rules: origins, paired rooms, the decision of the embedding application, the admin.

import { call, pairDevices, someDevice } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { type RunningServer, startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import WebSocket from 'ws';
import type { Authorize } from '../../src/app.js';
import { ConfigError, parseConfig } from '../../src/settings/config.js';
import { rawRequest } from '../support/raw-http.js';

async function server(env: Record<string, string>, authorize?: Authorize): Promise<RunningServer> {
  const started = await startServer(env, authorize ? { authorize } : {});
  onTestFinished(() => started.close());
  return started;
}

/** The HTTP status with which an opening handshake is refused. */
function refused(wsUrl: string, headers: Record<string, string>): Promise<number> {
  const socket = new WebSocket(wsUrl, { headers });
  socket.on('error', () => {});
  return new Promise((resolve, reject) => {
    socket.on('open', () => reject(new Error('it was let in')));
    socket.on('unexpected-response', (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
}

test('with ALLOWED_ORIGINS, the WebSocket of a page from another origin is refused with 403', async () => {
  const { wsUrl } = await server({ ALLOWED_ORIGINS: 'https://app.example, https://other.example' });
  expect(await refused(wsUrl, { origin: 'https://evil.example' })).toBe(403);
  await Peer.connect(wsUrl, { headers: { origin: 'https://other.example' } });
});

test('a client that is not a browser sends no origin, and is admitted', async () => {
  const { wsUrl } = await server({ ALLOWED_ORIGINS: 'https://app.example' });
  await Peer.connect(wsUrl);
});

test.each([
  ['https://chat.example', 'chat.example'],
  ['https://chat.example', 'Chat.Example:443'],
  ['https://chat.example', 'chat.example:80'],
  ['http://chat.example', 'chat.example:80'],
  ['http://chat.example:8080', 'chat.example:8080'],
  ['https://chat.example.', 'chat.example'],
])(
  'a page of the server itself, %s, may connect if the proxy sends Host: %s',
  async (origin, host) => {
    const { wsUrl } = await server({ ALLOWED_ORIGINS: 'https://app.example' });
    await Peer.connect(wsUrl, { headers: { origin, host } });
    expect(await refused(wsUrl, { origin, host: 'other.example' })).toBe(403);
  },
);

test('with ALLOWED_HOSTS, a request or a WebSocket for another host is 403', async () => {
  const { url, wsUrl } = await server({ ALLOWED_HOSTS: 'chat.example' });
  const get = (host: string) =>
    rawRequest(url, `GET /healthz HTTP/1.1\r\nhost: ${host}\r\nconnection: close\r\n\r\n`);
  const rebound = await get('evil.example:8080');
  expect(rebound).toMatchObject({ status: 403, body: '{"error":"forbidden"}' });
  expect(await refused(wsUrl, { host: 'evil.example' })).toBe(403);
  for (const host of ['chat.example:443', new URL(url).host]) {
    expect((await get(host)).status).toBe(200);
    await Peer.connect(wsUrl, { headers: { host } });
  }
});

test('with REQUIRE_PAIRED_ROOMS, only the two devices of a paired room may join it', async () => {
  const { url, wsUrl } = await server({ REQUIRE_PAIRED_ROOMS: '1' });
  const { roomid, client1, client2 } = await pairDevices(url);
  const forbidden = { type: 'error', error: 'Not a member of this room', code: 'forbidden' };
  const peer = await Peer.connect(wsUrl);
  for (const deviceId of [undefined, '', someDevice()]) {
    peer.send({ type: 'join_room', roomId: roomid, deviceId });
    expect(await peer.next()).toEqual(forbidden);
  }
  peer.send({ type: 'join_room', roomId: 'my living room', deviceId: client1 });
  expect(await peer.next()).toEqual(forbidden);
  expect(await peer.join(roomid, client1)).toMatchObject({ userCount: 1 });
  const other = await Peer.connect(wsUrl);
  expect(await other.join(roomid, client2)).toMatchObject({ userCount: 2 });
});

test('with REQUIRE_PAIRED_ROOMS, only its own device may take over a seat', async () => {
  const { url, wsUrl } = await server({ REQUIRE_PAIRED_ROOMS: '1' });
  const { roomid, client1 } = await pairDevices(url);
  const first = await Peer.connect(wsUrl);
  await first.join(roomid, client1);
  const stranger = await Peer.connect(wsUrl);
  stranger.send({ type: 'join_room', roomId: roomid, deviceId: someDevice() });
  await stranger.next('error');
  expect(await first.sync()).toEqual([]);
  const again = await Peer.connect(wsUrl);
  await again.join(roomid, client1);
  expect(await first.closed).toMatchObject({ code: 4001 });
});

test('REQUIRE_PAIRED_ROOMS without USE_SQLITE is a configuration error', () => {
  expect(() => parseConfig({ REQUIRE_PAIRED_ROOMS: '1' })).toThrow(ConfigError);
  expect(() => parseConfig({ REQUIRE_PAIRED_ROOMS: '1' })).toThrow(/USE_SQLITE/);
});

test('the application decides which requests are served; refused ones are 401, never 404', async () => {
  const { url } = await server(
    {},
    { request: async ({ headers }) => headers.authorization === 'Bearer good' },
  );
  const get = (headers: Record<string, string>) =>
    call(url, 'GET', '/api/rooms?roomid=x', undefined, headers);
  expect(await get({})).toMatchObject({ status: 401, body: { error: 'unauthorized' } });
  expect((await get({ authorization: 'Bearer good' })).status).toBe(404);
  expect((await call(url, 'OPTIONS', '/api/rooms')).status).toBe(204);
  expect((await fetch(url)).status).toBe(200);
});

test('the application decides which clients may connect; a rule that fails refuses all', async () => {
  const { wsUrl } = await server(
    {},
    {
      connect: ({ headers }) => {
        if (headers['x-broken']) throw new Error('broken');
        return headers.authorization === 'Bearer good';
      },
    },
  );
  expect(await refused(wsUrl, {})).toBe(401);
  expect(await refused(wsUrl, { 'x-broken': '1' })).toBe(401);
  await Peer.connect(wsUrl, { headers: { authorization: 'Bearer good' } });
});

test('a rule that never answers refuses the client, and holds its place no longer than a request may take', async () => {
  const clock = new FakeClock();
  const started = await startServer(
    { MAX_CONNECTIONS: '1' },
    {
      clock,
      authorize: { connect: ({ headers }) => headers['x-ok'] === '1' || new Promise(() => {}) },
    },
  );
  onTestFinished(() => started.close());
  const timers = clock.pending;
  const status = refused(started.wsUrl, {});
  await clock.reach(timers + 1);
  clock.advance(10_000);
  expect(await status).toBe(401);
  await Peer.connect(started.wsUrl, { headers: { 'x-ok': '1' } });
});

test('the application decides which client may take which seat', async () => {
  const { wsUrl } = await server(
    {},
    {
      join: async ({ request, roomId, deviceId }) =>
        request.headers['x-device'] === deviceId && roomId.startsWith('team-'),
    },
  );
  const peer = await Peer.connect(wsUrl, { headers: { 'x-device': 'mine' } });
  for (const [roomId, deviceId] of [
    ['team-1', 'other'],
    ['elsewhere', 'mine'],
  ]) {
    peer.send({ type: 'join_room', roomId, deviceId });
    expect(await peer.next()).toMatchObject({ type: 'error', code: 'forbidden' });
  }
  await peer.join('team-1', 'mine');
});
