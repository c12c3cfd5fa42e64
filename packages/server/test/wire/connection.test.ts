// The connection: opening handshake, ping, size limit, close codes. docs/protocol.md §7.
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { serverForTest, startServer } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { Unavailable } from '../../src/base/failures.js';
import type { PairingStore } from '../../src/pairing/store.js';
import { captureLog } from '../support/captured-log.js';

/** Sends raw bytes and returns everything that comes back. */
async function exchange(url: string, request: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  socket.end(request);
  return text(socket);
}

const handshake = (path: string, extra = '') =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n${extra}\r\n`;

const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

test('ping is answered by pong', async () => {
  const { wsUrl } = await serverForTest();
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'ping' });
  expect(await peer.next()).toEqual({ type: 'pong' });
});

test('a ping frame is answered by a pong frame with the same payload', async () => {
  const { wsUrl } = await serverForTest();
  const peer = await Peer.connect(wsUrl);
  const pong = new Promise<string>((resolve) =>
    peer.socket.once('pong', (data) => resolve(data.toString())),
  );
  peer.socket.ping('are you there');
  expect(await pong).toBe('are you there');
});

test('a target in absolute form is served (RFC 9112 §3.2.2)', async () => {
  const { url } = await serverForTest();
  for (const target of ['http://host/', 'HTTP://host', 'https://host:8443/?v=1', 'wss://host/']) {
    expect(await exchange(url, handshake(target, KEY))).toMatch(/^HTTP\/1\.1 101 /);
  }
  expect(await exchange(url, handshake('http://host/socket', KEY))).toMatch(/^HTTP\/1\.1 404 /);
});

test('no unknown subprotocol that a client offers is selected', async () => {
  const { url } = await serverForTest();
  const answer = await exchange(url, handshake('/', `${KEY}Sec-WebSocket-Protocol: chat, x\r\n`));
  expect(answer).toMatch(/^HTTP\/1\.1 101 /);
  expect(answer.toLowerCase()).not.toContain('sec-websocket-protocol');
});

test('the subprotocol couplet is selected, and a token offered beside it is not repeated', async () => {
  const { url } = await serverForTest();
  const offered = `${KEY}Sec-WebSocket-Protocol: couplet.token.secret%2F%3D, couplet\r\n`;
  const answer = await exchange(url, handshake('/', offered));
  expect(answer).toMatch(/^HTTP\/1\.1 101 /);
  expect(answer).toMatch(/^sec-websocket-protocol: couplet\r$/im);
  expect(answer).not.toContain('secret');
});

test.each([
  ['with two Host headers', handshake('/', `${KEY}Host: y\r\n`), 400, 'invalid_request'],
  ['to another path', handshake('/socket', KEY), 404, 'not_found'],
  ['without a key', handshake('/'), 400, 'invalid_request'],
])('an upgrade %s is refused in JSON, without caching', async (_what, bytes, status, error) => {
  const { url } = await serverForTest();
  const answer = await exchange(url, bytes);
  expect(answer.startsWith(`HTTP/1.1 ${status} `)).toBe(true);
  expect(answer).toContain('\r\ncache-control: no-store\r\nx-content-type-options: nosniff\r\n');
  expect(answer.endsWith(`{"error":"${error}"}`)).toBe(true);
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

test('compression is not negotiated', async () => {
  const { wsUrl } = await serverForTest();
  const peer = await Peer.connect(wsUrl, { perMessageDeflate: true });
  expect(peer.socket.extensions).toBe('');
});

test('a message of exactly the limit passes; the default is 256 KiB', async () => {
  const { wsUrl } = await serverForTest();
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

/** A pair of which the second does not read; `told` becomes true when the first learns that it is gone. */
async function pairWithSlowReader() {
  const { wsUrl } = await serverForTest({
    MAX_BUFFERED_BYTES: '65536',
    // The message rate must not be what closes it.
    MAX_BYTES_PER_SECOND: '10000000000',
    MAX_MESSAGES_PER_SECOND: '10000000',
  });
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  second.socket.pause();
  const state = { told: false };
  const gone = first.next('peer_disconnected').then(() => {
    state.told = true;
  });
  return { first, second, state, gone };
}

const flushed = ({ socket }: Peer) =>
  new Promise<void>((resolve) => socket.ping('', undefined, () => resolve()));

test('a client that does not read the answers to its ping frames is closed with 4008', async () => {
  const { second, state, gone } = await pairWithSlowReader();
  const payload = 'x'.repeat(125);
  // 26 MB, more than the kernel buffers; otherwise the answers would not wait in the server.
  for (let turn = 0; !state.told && turn < 200; turn++) {
    for (let n = 0; n < 1000; n++) second.socket.ping(payload);
    await flushed(second);
  }
  second.socket.resume();
  await gone;
  expect((await second.closed).code).toBe(4008);
});

test('a client that floods with ping frames is closed with 1008', async () => {
  const { wsUrl } = await serverForTest({ MAX_MESSAGES_PER_SECOND: '10' });
  const peer = await Peer.connect(wsUrl);
  for (let n = 0; n < 100; n++) peer.socket.ping();
  expect(await peer.next('error')).toMatchObject({ code: 'rate_limited' });
  expect((await peer.closed).code).toBe(1008);
});

test('a peer that answers pings stays; a silent one is disconnected after the second unanswered ping', async () => {
  const clock = new FakeClock();
  const { wsUrl } = await serverForTest({ HEARTBEAT_SECONDS: '30' }, { clock });
  const roomId = randomUUID();
  const silent = await Peer.connect(wsUrl, { autoPong: false });
  await silent.join(roomId);
  const alive = await Peer.connect(wsUrl);
  await alive.join(roomId);
  await alive.next('room_ready');
  let pings = 0;
  silent.socket.on('ping', () => {
    pings += 1;
  });
  for (let period = 0; period < 2; period++) {
    clock.advance(30_000);
    await alive.sync();
  }
  clock.advance(30_000);
  expect(await alive.next()).toMatchObject({ type: 'peer_disconnected' });
  await silent.closed;
  expect(pings).toBe(2);
  for (let period = 0; period < 5; period++) {
    clock.advance(30_000);
    await alive.sync();
  }
});

test('an upgrade during a shutdown is answered 503 with Retry-After', async () => {
  const running = await startServer({ SHUTDOWN_SECONDS: '5' });
  const stubborn = await Peer.connect(running.wsUrl);
  stubborn.socket.pause();
  const { hostname, port } = new URL(running.url);
  const late = connect(Number(port), hostname);
  await new Promise((resolve) => late.once('connect', resolve));
  const closing = running.close();
  late.write(handshake('/', KEY));
  const answer = await text(late);
  expect(answer).toMatch(/^HTTP\/1\.1 503 /);
  expect(answer.toLowerCase()).toContain('retry-after: ');
  stubborn.socket.resume();
  await closing;
});

/** A store whose rooms cannot be read; everything else is empty. */
const storeWith = (findRoom: PairingStore['findRoom']) =>
  new Proxy({} as PairingStore, {
    get: (_target, name) =>
      name === 'findRoom' ? findRoom : () => Promise.resolve({ pendings: 0, rooms: 0 }),
  });

test('a bug in a handler closes only the affected connection, with 1011', async () => {
  const { log, text } = captureLog();
  const store = storeWith(() => Promise.reject(new TypeError('bug')));
  const { wsUrl } = await serverForTest({}, { store, log });
  const neighbor = await Peer.connect(wsUrl);
  const victim = await Peer.connect(wsUrl);
  victim.send({ type: 'join_room', roomId: randomUUID(), deviceId: 'd' });
  expect((await victim.closed).code).toBe(1011);
  expect(await neighbor.sync()).toEqual([]);
  expect(text()).toContain('message failed');
});

test('a join whose room cannot be read gets unavailable, and works later', async () => {
  let isAway = true;
  const store = storeWith(async () => {
    if (isAway) throw new Unavailable(new Error('away'));
    return undefined;
  });
  const { wsUrl } = await serverForTest({}, { store });
  const peer = await Peer.connect(wsUrl);
  const roomId = randomUUID();
  peer.send({ type: 'join_room', roomId, deviceId: 'd' });
  expect(await peer.next()).toMatchObject({ type: 'error', code: 'unavailable' });
  isAway = false;
  expect(await peer.join(roomId, 'd')).toMatchObject({ userCount: 1 });
});
