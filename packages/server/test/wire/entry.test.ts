// Access rules: origins, paired rooms, the decision of the embedding application, the admin.
import { once } from 'node:events';
import { call } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer, refusedHandshake } from '@couplet/testkit/peer';
import { serverForTest } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Authorize } from '../../src/app.js';
import { rawRequest } from '../support/raw-http.js';

const refused = async (wsUrl: string, headers: Record<string, string>) =>
  (await refusedHandshake(wsUrl, headers)).status;

test('with ALLOWED_ORIGINS, the WebSocket of a page from another origin is refused with 403', async () => {
  const { wsUrl } = await serverForTest({
    ALLOWED_ORIGINS: 'https://app.example, https://other.example',
  });
  expect(await refused(wsUrl, { origin: 'https://evil.example' })).toBe(403);
  await Peer.connect(wsUrl, { headers: { origin: 'https://other.example' } });
});

test('a client that is not a browser sends no origin, and is admitted', async () => {
  const { wsUrl } = await serverForTest({ ALLOWED_ORIGINS: 'https://app.example' });
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
    const { wsUrl } = await serverForTest({ ALLOWED_ORIGINS: 'https://app.example' });
    await Peer.connect(wsUrl, { headers: { origin, host } });
    expect(await refused(wsUrl, { origin, host: 'other.example' })).toBe(403);
  },
);

test('with ALLOWED_HOSTS, a request or a WebSocket for another host is 403', async () => {
  const { url, wsUrl } = await serverForTest({ ALLOWED_HOSTS: 'chat.example' });
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

test('the application decides which requests are served; refused ones are 401, never 404', async () => {
  const request: Authorize['request'] = async ({ headers }) =>
    headers.authorization === 'Bearer good';
  const { url } = await serverForTest({}, { authorize: { request } });
  const get = (headers: Record<string, string>) =>
    call(url, 'GET', '/api/rooms?roomid=x', undefined, headers);
  expect(await get({})).toMatchObject({ status: 401, body: { error: 'unauthorized' } });
  expect((await get({ authorization: 'Bearer good' })).status).toBe(404);
  expect((await call(url, 'OPTIONS', '/api/rooms')).status).toBe(204);
  expect((await fetch(url)).status).toBe(200);
});

test('the application decides which clients may connect; a rule that fails refuses all', async () => {
  const connect: Authorize['connect'] = ({ headers }) => {
    if (headers['x-broken']) throw new Error('broken');
    return headers.authorization === 'Bearer good';
  };
  const { wsUrl } = await serverForTest({}, { authorize: { connect } });
  expect(await refused(wsUrl, {})).toBe(401);
  expect(await refused(wsUrl, { 'x-broken': '1' })).toBe(401);
  await Peer.connect(wsUrl, { headers: { authorization: 'Bearer good' } });
});

test('a token that a browser offers as a subprotocol reaches the application as Authorization', async () => {
  const connect: Authorize['connect'] = ({ headers: { authorization } }) =>
    authorization === 'Bearer a/b+c==' || /\s.*\s/.test(authorization ?? '');
  const { wsUrl } = await serverForTest({}, { authorize: { connect } });
  const offer = (token: string, authorization?: string) => ({
    'sec-websocket-protocol': `couplet, couplet.token.${token}`,
    ...(authorization && { authorization }),
  });
  const socket = new WebSocket(wsUrl, ['couplet', 'couplet.token.a%2Fb%2Bc%3D%3D']);
  onTestFinished(() => socket.terminate());
  await once(socket, 'open');
  expect(socket.protocol).toBe('couplet');
  expect(await refused(wsUrl, offer('other'))).toBe(401);
  expect(await refused(wsUrl, offer('%'))).toBe(401);
  // A header has no line breaks, so no rule of an application expects them.
  expect(await refused(wsUrl, offer('a%0d%0ab'))).toBe(401);
  expect(await refused(wsUrl, offer('a%2Fb%2Bc%3D%3D', 'Bearer other'))).toBe(401);
});

test('a rule that never answers refuses the client, and holds its place no longer than a request may take', async () => {
  const clock = new FakeClock();
  const { wsUrl } = await serverForTest(
    { MAX_CONNECTIONS: '1' },
    {
      clock,
      authorize: { connect: ({ headers }) => headers['x-ok'] === '1' || new Promise(() => {}) },
    },
  );
  const timers = clock.pending;
  const status = refused(wsUrl, {});
  await clock.reach(timers + 1);
  clock.advance(10_000);
  expect(await status).toBe(401);
  await Peer.connect(wsUrl, { headers: { 'x-ok': '1' } });
});

test('the application decides which client may take which seat', async () => {
  const { wsUrl } = await serverForTest(
    {},
    {
      authorize: {
        join: async ({ request, roomId, deviceId }) =>
          request.headers['x-device'] === deviceId && roomId.startsWith('team-'),
      },
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
