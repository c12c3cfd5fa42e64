// The log never identifies a pairing: runs a full session with many faults over REST and WebSocket, collects every value in it
// that identifies a person, and searches the log for them.
import { once } from 'node:events';
import { connect } from 'node:net';
import { call, someDevice } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { type RunningServer, serverForTest, startServer } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { PairingStore } from '../../src/pairing/store.js';
import { captureLog } from '../support/captured-log.js';
import { answerSdp, candidatesOf, offerSdp } from '../support/ios-client.js';

const ADMIN_TOKEN = 'admin-token-7QxV2mLk90';
const WRONG_TOKEN = 'wrong-token-hN4sTz81Wd';
const PUBLIC_KEY = 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9Xw';
const SESSION_KEY_ID = 'KEYSESSION-5D1F';
const TURN_SECRET = 'a-turn-secret-9fK2';
const EXTRA = { urls: 'turn:extra.example.net', username: 'extra-user', credential: 'extra-pw-51' };
/** GET /rooms is closed, and an offer can exceed the cap. */
const SESSION_ENV = {
  PRODUCTION: '1',
  ADMIN_TOKEN,
  MAX_MESSAGE_BYTES: '4096',
  TURN_SECRET,
  TURN_URLS: 'turn:turn.example.org:3478',
  ICE_SERVERS_EXTRA: JSON.stringify([EXTRA]),
};

/** Every identifying value of a session, by kind. */
class Secrets {
  readonly #values = new Map<string, string>();

  /** Records a value, and returns it. */
  keep(what: string, value: string): string {
    this.#values.set(value, what);
    return value;
  }

  /** Records the URLs and credentials of ICE servers. */
  keepServers(iceServers: unknown): void {
    for (const { urls, username, credential } of iceServers as (typeof EXTRA)[]) {
      this.keep('ICE server', [urls].flat().join());
      for (const part of username.split(':')) this.keep('TURN user', part);
      this.keep('TURN credential', credential);
    }
  }

  /** The identifying values in a text, whole or truncated, plain or escaped. */
  foundIn(text: string): string[] {
    const found = new Set<string>();
    for (const [value, what] of this.#values) {
      const written = [value, JSON.stringify(value).slice(1, -1), encodeURIComponent(value)];
      const forms = [...written, value.slice(0, 12), value.toLowerCase()];
      if (forms.some((form) => text.includes(form))) found.add(what);
    }
    return [...found];
  }
}

/** Uses every endpoint correctly and wrongly. Returns the room of a pairing, and its two devices. */
async function useRest({ url }: RunningServer, secrets: Secrets) {
  const joinid = secrets.keep('join code', '730519');
  const client1 = secrets.keep('client1', someDevice());
  const client2 = secrets.keep('client2', someDevice());
  const stranger = secrets.keep('stranger', `"stranger\n${someDevice()}`);
  const token = secrets.keep('push token', 'push-token-8f3b2c');
  const endpoint = secrets.keep('push endpoint', 'https://push.example.org/send/3Kx9mQ');
  const auth = secrets.keep('push key', 'y2Vn0rPq6tHs1dWb8cLz4A');
  const subscription = { endpoint, keys: { p256dh: `B${'x'.repeat(86)}`, auth } };
  const post = (path: string, body: unknown) => call(url, 'POST', path, body);

  const create = { joinid, expiresInSeconds: 300, client1, client1_token: token };
  for (const body of [
    create,
    { ...create, client1: stranger },
    { ...create, platform: token },
    { ...create, client1_token: `{"endpoint":"${endpoint}`, platform: 'web' },
    { ...create, expiresInSeconds: joinid },
    { ...create, joinid: `${joinid}${client1}` },
    `{"joinid":"${joinid}","client1":"${client1}\n"`,
    `"${client1}"`,
    { ...create, client1: client1.repeat(3000) },
  ]) {
    await post('/api/rooms', body);
  }
  await call(url, 'POST', '/api/rooms', client1, { 'content-type': `text/${client1}` });
  await post('/api/rooms/check', { joinid, client1: stranger });
  const held = new AbortController();
  const prefer = { Prefer: 'wait=30', 'Idempotency-Key': client1 };
  const check = { joinid, client1 };
  const hungUp = call(url, 'POST', '/api/rooms/check', check, prefer, held.signal).catch(() => {});
  await post('/api/rooms/accept', { joinid, client2: client1 });
  held.abort();
  await hungUp;
  const accepting = { joinid, client2, client2_token: subscription, platform: 'web' };
  await post('/api/rooms/accept', { ...accepting, platform: 'ios' });
  const accepted = await post('/api/rooms/accept', accepting);
  const roomId = secrets.keep('room id', accepted.body?.roomid as string);
  await post('/api/rooms/accept', { joinid, client2: stranger });
  await post('/api/rooms/check', check);
  const renewed = { roomid: roomId, client: client2, platform: 'web' };
  for (const each of [subscription, JSON.stringify(subscription), token, `[${token}`, null]) {
    await post('/api/push-token', { ...renewed, token: each });
    await post('/api/push-token', { ...renewed, client: stranger, token: each });
  }
  await post('/api/badge/reset', { deviceId: client2 });
  await call(url, 'GET', `/api/rooms?roomid=${roomId}`);
  await call(url, 'GET', `/api/rooms?roomid=${roomId}&roomid=${client1}`);
  await call(url, 'GET', `/nowhere/${roomId}?client=${client1}`);
  await call(url, 'PUT', `/api/rooms?roomid=${roomId}`);
  await call(url, 'GET', `/%zz/${roomId}`);
  await call(url, 'GET', '/rooms', undefined, { authorization: `Bearer ${WRONG_TOKEN}` });
  const upgrade = 'Connection: Upgrade\r\nUpgrade: websocket';
  for (const head of [
    `GET /api/rooms?roomid=${roomId} HTTP/1.1\r\nbad header ${client1}`,
    roomId,
    `GET /${roomId} HTTP/1.1\r\nHost: ${client1}\r\n${upgrade}`,
    `GET /?room=${roomId} HTTP/1.1\r\nHost: x\r\n${upgrade}\r\nSec-WebSocket-Key: ${client1}`,
  ]) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.resume().write(`${head}\r\n\r\n`);
    await once(socket, 'close');
  }
  return { roomId, client1, client2 };
}

/** Two devices with every event that is possible in a room. */
async function useWebSockets(
  { url, wsUrl }: RunningServer,
  secrets: Secrets,
  { roomId, client1, client2 }: Record<'roomId' | 'client1' | 'client2', string>,
): Promise<void> {
  const connectPeer = async () => {
    const peer = await Peer.connect(`${wsUrl}/?room=${roomId}`);
    secrets.keep('clientId', peer.clientId);
    return peer;
  };
  const first = await connectPeer();
  for (const frame of [
    `{"roomId":"${roomId}\n`,
    `["${client1}"]`,
    JSON.stringify({ type: roomId }),
    JSON.stringify({ type: 'join_room', roomId: [roomId] }),
    JSON.stringify({ type: 'join_room', roomId, deviceId: client1.repeat(20) }),
    JSON.stringify({ type: 'webrtc_offer', sdp: { [client1]: offerSdp } }),
    JSON.stringify({ type: 'webrtc_offer', sdp: offerSdp }),
  ]) {
    first.send(frame);
    await first.next('error');
  }
  first.socket.send(Buffer.from(roomId));
  await first.next('error');
  await first.join(roomId, client1);
  const second = await connectPeer();
  await second.join(roomId, client2);
  secrets.keep('TURN secret', TURN_SECRET);
  secrets.keepServers((await second.next('room_ready')).iceServers);
  for (const client of [client1, roomId]) {
    const asked = await call(url, 'POST', '/api/ice-servers', { roomid: roomId, client });
    if (asked.status === 200) secrets.keepServers(asked.body?.iceServers);
  }
  await call(url, 'POST', '/api/ice-servers', `{"roomid":"${roomId}","client":`);

  const session = { sessionId: secrets.keep('key session', SESSION_KEY_ID), timestamp: 1 };
  const publicKey = secrets.keep('public key', PUBLIC_KEY);
  first.send({ type: 'key_exchange', publicKey, ...session });
  first.send({ type: 'key_exchange_complete', ...session });
  first.send({ type: 'webrtc_offer', sdp: offerSdp });
  second.send({ type: 'webrtc_answer', sdp: answerSdp });
  for (const line of `${offerSdp}${answerSdp}`.split('\r\n')) {
    if (line.length > 8) secrets.keep('SDP line', line);
  }
  for (const candidate of candidatesOf(50_003)) {
    secrets.keep('candidate', candidate.candidate);
    first.send({ type: 'ice_candidate', candidate });
  }
  await first.sync();
  await second.sync();

  const third = await connectPeer();
  third.send({ type: 'join_room', roomId });
  await third.next('room_full');
  await third.join(secrets.keep('manual room', 'the-manual-room'));
  third.send({ type: 'leave_room' });
  await third.next('left_room');
  const newer = await connectPeer();
  await newer.join(roomId, client2);
  await second.closed;
  secrets.keep('admin token', ADMIN_TOKEN);
  secrets.keep('wrong admin token', WRONG_TOKEN);
  await call(url, 'GET', '/rooms', undefined, { authorization: `Bearer ${ADMIN_TOKEN}` });

  newer.send({ type: 'webrtc_offer', sdp: offerSdp.repeat(100) });
  await newer.closed;
  first.socket.terminate();
  await first.closed;
  await call(url, 'POST', '/api/user/purge', { deviceIds: [client1, roomId, 5] });
  await call(url, 'POST', '/api/user/purge', { deviceIds: [client1, client2] });
  await call(url, 'DELETE', `/api/rooms?roomid=${roomId}`);
  await third.close();
}

/** Runs a full session and returns the complete log of the server. */
async function loggedSession(terminal = false) {
  const captured = captureLog(terminal);
  const server = await startServer(SESSION_ENV, { log: captured.log });
  const secrets = new Secrets();
  await useWebSockets(server, secrets, await useRest(server, secrets));
  await fetch(`${server.url}/`);
  await server.close();
  return { captured, secrets };
}

let shared: ReturnType<typeof loggedSession> | undefined;
/** One session for all tests that read its log as JSON. */
const session = () => (shared ??= loggedSession());

test('no id, code, SDP line, candidate, key or token of a full session is in the log', async () => {
  const { captured, secrets } = await session();
  // The digits of a timestamp could match a code.
  const searched = captured.lines().map(({ time, ...line }) => JSON.stringify(line));
  expect(searched.length).toBeGreaterThan(30);
  expect(secrets.foundIn(searched.join('\n'))).toEqual([]);
});

test('the search finds values that are in a text', async () => {
  const { secrets } = await session();
  for (const text of ['{"url":"/api/rooms?roomid=730519"}', 'candidate:0 1 udp 2122260223 …']) {
    expect(secrets.foundIn(text)).toHaveLength(1);
  }
});

test('every request has one log line with its own id, at level info if it failed or is a health check', async () => {
  const { captured } = await session();
  const requests = captured.lines().filter(({ route }) => route !== undefined);
  const ids = requests.map(({ reqId }) => reqId);
  expect(ids.every((id) => typeof id === 'string' && id !== '')).toBe(true);
  expect(new Set(ids).size).toBe(ids.length);
  for (const line of requests) {
    expect(line).toEqual({
      level: Number(line.status) < 400 && line.route !== '/' ? 20 : 30,
      time: expect.any(Number),
      reqId: expect.any(String),
      method: expect.stringMatching(/^[A-Z]+$/),
      route: expect.stringMatching(/^(none|\/[a-z/.-]*)$/),
      status: expect.any(Number),
      ms: expect.any(Number),
      msg: line.route === '/' ? 'Health check' : 'request',
    });
  }
});

test('every step of a connection is one line', async () => {
  const { captured } = await session();
  const lives = new Map<unknown, string[]>();
  for (const { conn, msg } of captured.lines()) {
    if (conn !== undefined) lives.set(conn, [...(lives.get(conn) ?? []), msg]);
  }
  expect([...lives.values()]).toEqual([
    ['connected', 'room joined', 'disconnected'],
    ['connected', 'room joined', 'disconnected'],
    ['connected', 'join refused', 'room joined', 'room left', 'disconnected'],
    ['connected', 'room joined', 'socket error', 'disconnected'],
  ]);
});

test('on a terminal, the log is readable text and identifies no pairing', async () => {
  const { captured, secrets } = await loggedSession(true);
  expect(captured.text()).not.toMatch(/^\{/m);
  expect(captured.text()).toContain('reqId');
  expect(secrets.foundIn(captured.text())).toEqual([]);
});

test.each([
  ['a parser that quotes its input', parserError],
  ['a cause that quotes it', (id: string) => new Error('failed', { cause: parserError(id) })],
])('a bug is logged without its input: %s', async (_name, failure) => {
  const captured = captureLog();
  const secrets = new Secrets();
  const id = secrets.keep('client1', 'DEV-4711');
  /** A store whose every operation fails. */
  const store = new Proxy({} as PairingStore, {
    get: (_, name) =>
      name === 'close' || name === 'onChange' ? () => {} : () => Promise.reject(failure(id)),
  });
  const { url, wsUrl } = await serverForTest({}, { log: captured.log, store });
  const body = { joinid: '730519', expiresInSeconds: 300, client1: id };
  expect(await call(url, 'POST', '/api/rooms', body)).toMatchObject({
    status: 500,
    body: { error: 'internal_error' },
  });
  const [peer, neighbor] = [await Peer.connect(wsUrl), await Peer.connect(wsUrl)];
  peer.send({ type: 'join_room', roomId: 'a-room', deviceId: id });
  expect((await peer.closed).code).toBe(1011);
  expect(await neighbor.sync()).toEqual([]);
  expect(captured.lines().map(({ msg }) => msg)).toEqual(
    expect.arrayContaining(['request failed', 'message failed', 'sweep failed']),
  );
  expect(secrets.foundIn(captured.text())).toEqual([]);
});

function parserError(id: string): Error {
  try {
    return new Error(`no error in ${JSON.parse(`[\n${id}]`)}`);
  } catch (error) {
    return error as Error;
  }
}
