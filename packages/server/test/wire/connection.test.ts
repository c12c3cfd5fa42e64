// The connection: opening handshake, ping frames, size limit, close codes. docs/protocol.md §7.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { scrape } from '@couplet/testkit/prometheus';
import { serverForTest, startServer } from '@couplet/testkit/server';
import { afterAll, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Unavailable } from '../../src/base/failures.js';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';
import type { PairingStore } from '../../src/pairing/store.js';
import {
  RawSocket,
  type RequestHeaders,
  rawRequest,
  readAnswers,
  request,
  WEBSOCKET,
} from '../support/raw-http.js';

const { url, wsUrl, close } = await startServer();
afterAll(close);

/** Target, headers, status, and the selected subprotocol or the error. */
test.each<[string, RequestHeaders, number, string?]>([
  // Absolute form: RFC 9112 §3.2.2.
  ['http://host/', {}, 101],
  ['HTTP://host', {}, 101],
  ['https://host:8443/?v=1', {}, 101],
  ['wss://host/', {}, 101],
  ['/', { 'sec-websocket-extensions': 'permessage-deflate' }, 101],
  ['/', { 'sec-websocket-protocol': 'chat, x' }, 101],
  ['/', { 'sec-websocket-protocol': 'couplet.token.secret%2F%3D, couplet' }, 101, 'couplet'],
  ['http://host/socket', {}, 404, 'not_found'],
  ['/socket', {}, 404, 'not_found'],
  ['/', { 'sec-websocket-key': undefined }, 400, 'invalid_request'],
  ['/', { host: 'x\r\nhost: y' }, 400, 'invalid_request'],
])('an upgrade of %s with %j is answered %i %s', async (target, headers, status, more) => {
  const answer = await rawRequest(url, request(`GET ${target}`, { ...WEBSOCKET, ...headers }));
  expect(answer.status).toBe(status);
  if (status === 101) {
    expect(answer.headers.get('sec-websocket-protocol')).toBe(more);
    expect(answer.headers.has('sec-websocket-extensions')).toBe(false);
    expect([...answer.headers].join()).not.toContain('secret');
  } else {
    expect(JSON.parse(answer.body)).toEqual({ error: more });
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  }
});

test('a ping frame is answered by a pong frame with the same payload', async () => {
  const { socket } = await Peer.connect(wsUrl);
  socket.ping('are you there');
  expect(String(await once(socket, 'pong'))).toBe('are you there');
});

test('after a message over the limit, the seat is free at once, even if the client does not answer the close', async () => {
  const { wsUrl } = await serverForTest({ MAX_MESSAGE_BYTES: '2048' });
  const roomId = randomUUID();
  const [first, second] = await pairOfPeers(wsUrl, roomId);
  first.send({ type: 'webrtc_offer', sdp: 'x'.repeat(3000) });
  first.socket.pause();
  await second.next('peer_disconnected');
  const third = await Peer.connect(wsUrl);
  expect(await third.join(roomId)).toMatchObject({ userCount: 2 });
  first.socket.resume();
});

test('a message of exactly the limit passes; the default is 256 KiB', async () => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  const frame = (sdp: string) => JSON.stringify({ type: 'webrtc_offer', sdp });
  const sdp = 'x'.repeat(262_144 - frame('').length);
  first.send(frame(sdp));
  expect((await second.next('webrtc_offer')).sdp).toBe(sdp);
  first.send(frame(`${sdp}x`));
  expect((await first.closed).code).toBe(1009);
});

test.each([
  [{}, 262_144],
  [{ MAX_MESSAGE_BYTES: '2048' }, 2048],
  // A message larger than the allowed burst would close the connection with 1008.
  [{ MAX_BYTES_PER_SECOND: '2048' }, 8192],
])('with %j the client receives the size of the largest message: %i bytes', async (env, bytes) => {
  const { wsUrl } = await serverForTest(env);
  const socket = new WebSocket(wsUrl);
  const [data] = await once(socket, 'message');
  expect(JSON.parse(String(data))).toMatchObject({ type: 'connected', maxMessageBytes: bytes });
  socket.close();
});

test('a client that does not read the answers to its ping frames is closed as a slow consumer', async () => {
  const env = {
    MAX_BUFFERED_BYTES: '65536',
    // The message rate must not be what closes it.
    MAX_BYTES_PER_SECOND: '10000000000',
    MAX_MESSAGES_PER_SECOND: '10000000',
  };
  const { url, wsUrl } = await serverForTest(env);
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  second.socket.pause();
  let isGone = false;
  const gone = first.next('peer_disconnected').then(() => {
    isGone = true;
  });
  // 26 MB, more than the kernel buffers; otherwise the answers would not wait in the server.
  for (let turn = 0; !isGone && turn < 200; turn++) {
    for (let n = 0; n < 1000; n++) second.socket.ping('x'.repeat(125));
    await new Promise<void>((resolve) => second.socket.ping('', undefined, () => resolve()));
  }
  await gone;
  // On a slow machine, the server may not wait until the client reads the close code.
  const { value } = await scrape(url);
  expect(value('couplet_closes_total', { reason: 'slow_consumer' })).toBe(1);
});

test('a client that only answers the pings of the server stays open', async () => {
  const clock = new FakeClock();
  const { app, wsUrl } = await serverForTest({ HEARTBEAT_SECONDS: '30' }, { clock });
  const accepted = once(app.server, 'connection');
  const peer = await Peer.connect(wsUrl);
  const [socket] = (await accepted) as [Socket];
  for (let period = 0; period < 4; period++) {
    const { bytesRead } = socket;
    clock.advance(30_000);
    await eventually(() => expect(socket.bytesRead).toBeGreaterThan(bytesRead), 10_000);
  }
  expect(await peer.sync()).toEqual([]);
});

test('an upgrade during a shutdown is answered 503 with Retry-After', async () => {
  const running = await startServer({ SHUTDOWN_SECONDS: '5' });
  const stubborn = await Peer.connect(running.wsUrl);
  stubborn.socket.pause();
  const late = new RawSocket(Number(new URL(running.url).port));
  await once(late.socket, 'connect');
  const closing = running.close();
  await late.write(request('GET /', WEBSOCKET));
  await late.until();
  const [answer] = readAnswers(late.received);
  expect([answer?.status, answer?.headers.has('retry-after')]).toEqual([503, true]);
  late.destroy();
  stubborn.socket.resume();
  await closing;
});

test('a join whose room cannot be read gets unavailable, and works later', async () => {
  const store = openSqliteStore(':memory:');
  let isAway = true;
  const findRoom: PairingStore['findRoom'] = async (...args) => {
    if (isAway) throw new Unavailable(new Error('away'));
    return store.findRoom(...args);
  };
  const { wsUrl } = await serverForTest({}, { store: { ...store, findRoom } });
  const peer = await Peer.connect(wsUrl);
  const roomId = randomUUID();
  peer.send({ type: 'join_room', roomId, deviceId: 'd' });
  expect(await peer.next()).toMatchObject({ type: 'error', code: 'unavailable' });
  isAway = false;
  expect(await peer.join(roomId, 'd')).toMatchObject({ userCount: 1 });
});
