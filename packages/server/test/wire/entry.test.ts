// Access rules: origins, hosts, and the decisions of the embedding application.
import { once } from 'node:events';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer, refusedHandshake } from '@couplet/testkit/peer';
import { serverForTest } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket } from 'ws';
import type { Authorize } from '../../src/app.js';
import { type RequestHeaders, rawRequest, request } from '../support/raw-http.js';

const refused = async (wsUrl: string, headers: Record<string, string>) =>
  (await refusedHandshake(wsUrl, headers)).status;
const isGood = ({ headers }: { headers: { authorization?: string | undefined } }) =>
  headers.authorization === 'Bearer good';
const GOOD = { authorization: 'Bearer good' };

test('with ALLOWED_ORIGINS, the WebSocket of a page from another origin is 403; a client that is not a browser sends none', async () => {
  const { wsUrl } = await serverForTest({
    ALLOWED_ORIGINS: 'https://app.example, https://other.example',
  });
  expect(await refused(wsUrl, { origin: 'https://evil.example' })).toBe(403);
  await Peer.connect(wsUrl, { headers: { origin: 'https://other.example' } });
  await Peer.connect(wsUrl);
  // Pages of the server itself, and the Host that proxies send for them.
  for (const [origin, host] of [
    ['https://chat.example', 'chat.example'],
    ['https://chat.example', 'Chat.Example:443'],
    ['https://chat.example', 'chat.example:80'],
    ['http://chat.example', 'chat.example:80'],
    ['http://chat.example:8080', 'chat.example:8080'],
    ['https://chat.example.', 'chat.example'],
  ] as const) {
    await Peer.connect(wsUrl, { headers: { origin, host } });
    expect(await refused(wsUrl, { origin, host: 'other.example' })).toBe(403);
  }
});

test('with ALLOWED_HOSTS, a request or a WebSocket for another host is 403', async () => {
  const { url, wsUrl } = await serverForTest({ ALLOWED_HOSTS: 'chat.example' });
  const get = (host: string) => rawRequest(url, request('GET /healthz', { host }));
  const rebound = await get('evil.example:8080');
  expect(rebound).toMatchObject({ status: 403, body: '{"error":"forbidden"}' });
  expect(await refused(wsUrl, { host: 'evil.example' })).toBe(403);
  for (const host of ['chat.example:443', new URL(url).host]) {
    expect((await get(host)).status).toBe(200);
    await Peer.connect(wsUrl, { headers: { host } });
  }
});

test('the application decides which requests are served, in every spelling of a path; others are 401, never 404', async () => {
  const { url } = await serverForTest({}, { authorize: { request: async (one) => isGood(one) } });
  const ask = (line: string, headers: RequestHeaders = {}) =>
    rawRequest(url, request(line, headers, line.startsWith('POST') ? '{}' : ''));
  for (const path of [
    '/api/rooms',
    '/api/rooms?roomid=x',
    '/%61pi/rooms',
    '/%61%70%69/rooms/accept',
    'http://x/api/rooms',
    'http://x/%61pi/user/purge',
    '/api/nowhere',
  ]) {
    const { status, body } = await ask(`POST ${path}`);
    expect([status, body], path).toEqual([401, '{"error":"unauthorized"}']);
  }
  // These match no route.
  for (const path of ['//api/rooms', '/API/rooms', '/api%2Frooms']) {
    expect((await ask(`POST ${path}`)).status, path).toBe(404);
  }
  expect((await ask('GET /api/rooms?roomid=x')).status).toBe(401);
  expect((await ask('GET /api/rooms?roomid=x', GOOD)).status).toBe(404);
  expect((await ask('OPTIONS /api/rooms')).status).toBe(204);
  expect((await ask('GET /')).status).toBe(200);
});

test('a rule that fails refuses the request or the connection', async () => {
  const fails = () => Promise.reject(new Error('broken'));
  const authorize: Authorize = { request: fails, connect: fails };
  const { url, wsUrl } = await serverForTest({}, { authorize });
  expect((await fetch(`${url}/api/rooms?roomid=x`)).status).toBe(401);
  expect(await refused(wsUrl, {})).toBe(401);
});

test('the application decides which clients may connect', async () => {
  const { wsUrl } = await serverForTest({}, { authorize: { connect: isGood } });
  expect(await refused(wsUrl, {})).toBe(401);
  await Peer.connect(wsUrl, { headers: GOOD });
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

test('a client whose rule never answers is refused when the time of a request is up, and its place is free again', async () => {
  const clock = new FakeClock();
  const connect: Authorize['connect'] = (one) => isGood(one) || new Promise(() => {});
  const env = { MAX_CONNECTIONS: '1' };
  const { wsUrl } = await serverForTest(env, { clock, authorize: { connect } });
  const timers = clock.pending;
  const status = refused(wsUrl, {});
  await clock.reach(timers + 1);
  clock.advance(10_000);
  expect(await status).toBe(401);
  await Peer.connect(wsUrl, { headers: GOOD });
});

test('a client whose rule answers during a shutdown is refused with 503', async () => {
  const answers: ((isAllowed: boolean) => void)[] = [];
  const connect: Authorize['connect'] = (one) =>
    isGood(one) || new Promise((resolve) => answers.push(resolve));
  const { wsUrl, close } = await serverForTest({}, { authorize: { connect } });
  const { socket } = await Peer.connect(wsUrl, { headers: GOOD });
  const status = refused(wsUrl, {});
  await eventually(async () => expect(answers).toHaveLength(1));
  const closed = close();
  await once(socket, 'close');
  answers[0]?.(true);
  expect(await status).toBe(503);
  await closed;
});

test('the application decides which client may take which seat', async () => {
  const join: Authorize['join'] = async ({ request, roomId, deviceId }) =>
    request.headers['x-device'] === deviceId && roomId.startsWith('team-');
  const { wsUrl } = await serverForTest({}, { authorize: { join } });
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
