// Plays a session with all its errors over REST and WebSocket, and collects every value in it that identifies a person.
import { once } from 'node:events';
import { connect } from 'node:net';
import { type Answer, call, someDevice } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import type { RunningServer } from '@couplet/testkit/server';
import { answerSdp, candidatesOf, offerSdp } from './ios-client.js';

const ADMIN_TOKEN = 'admin-token-7QxV2mLk90';
const WRONG_TOKEN = 'wrong-token-hN4sTz81Wd';
const PUBLIC_KEY = 'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE9Xw';
const SESSION_KEY_ID = 'KEYSESSION-5D1F';
/** Settings that the session needs: GET /rooms closed, and a cap that an offer can exceed. */
export const SESSION_ENV = { PRODUCTION: '1', ADMIN_TOKEN, MAX_MESSAGE_BYTES: '4096' };

/** Every identifying value of a session, by kind. */
export class Secrets {
  readonly #values = new Map<string, string>();

  /** Records a value, and returns it. */
  keep(what: string, value: string): string {
    this.#values.set(value, what);
    return value;
  }

  /** The identifying values in a text, whole or truncated, plain or escaped. */
  foundIn(text: string): string[] {
    const found = new Set<string>();
    for (const [value, what] of this.#values) {
      const escaped = JSON.stringify(value).slice(1, -1);
      const forms = [
        value,
        value.slice(0, 12),
        value.toLowerCase(),
        escaped,
        encodeURIComponent(value),
      ];
      if (forms.some((form) => text.includes(form))) found.add(what);
    }
    return [...found];
  }
}

/** Sends any bytes, and waits until the server has closed the connection. */
async function sendRaw(url: string, bytes: string): Promise<void> {
  const socket = connect(Number(new URL(url).port), '127.0.0.1');
  socket.resume().write(bytes);
  await once(socket, 'close');
}

/** Uses every endpoint correctly and wrongly. Returns the room of a pairing, and its two devices. */
async function useRest({ url }: RunningServer, secrets: Secrets) {
  const joinid = secrets.keep('join code', '730519');
  const client1 = secrets.keep('client1', someDevice());
  const client2 = secrets.keep('client2', someDevice());
  const stranger = secrets.keep('stranger', `"stranger\n${someDevice()}`);
  const token = secrets.keep('push token', 'push-token-8f3b2c');
  const endpoint = secrets.keep('push endpoint', 'https://push.example.org/send/3Kx9mQ');
  const subscription = {
    endpoint,
    keys: {
      p256dh: `B${'x'.repeat(86)}`,
      auth: secrets.keep('push key', 'y2Vn0rPq6tHs1dWb8cLz4A'),
    },
  };
  const post = (path: string, body: unknown): Promise<Answer> => call(url, 'POST', path, body);

  const create = { joinid, expiresInSeconds: 300, client1, client1_token: token };
  await post('/api/rooms', create);
  await post('/api/rooms', { ...create, client1: stranger });
  await post('/api/rooms', { ...create, platform: token });
  await post('/api/rooms', {
    ...create,
    client1_token: `{"endpoint":"${endpoint}`,
    platform: 'web',
  });
  await post('/api/rooms', { ...create, expiresInSeconds: joinid });
  await post('/api/rooms', { ...create, joinid: `${joinid}${client1}` });
  await post('/api/rooms', `{"joinid":"${joinid}","client1":"${client1}\n"`);
  await post('/api/rooms', `"${client1}"`);
  await call(url, 'POST', '/api/rooms', client1, { 'content-type': `text/${client1}` });
  await post('/api/rooms', { ...create, client1: client1.repeat(3000) });
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
  await sendRaw(url, `GET /api/rooms?roomid=${roomId} HTTP/1.1\r\nbad header ${client1}\r\n\r\n`);
  await sendRaw(url, `${roomId}\r\n\r\n`);
  await sendRaw(
    url,
    `GET /${roomId} HTTP/1.1\r\nHost: ${client1}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
  await sendRaw(
    url,
    `GET /?room=${roomId} HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: ${client1}\r\n\r\n`,
  );
  return { roomId, client1, client2 };
}

/** Two devices with every event that is possible in a room. */
async function useWebSockets(
  { url, wsUrl }: RunningServer,
  secrets: Secrets,
  { roomId, client1, client2 }: { roomId: string; client1: string; client2: string },
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
  await second.next('room_ready');

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

/** Runs a full session against a server started with {@link SESSION_ENV}; returns the identifying values. */
export async function runFullSession(server: RunningServer): Promise<Secrets> {
  const secrets = new Secrets();
  await useWebSockets(server, secrets, await useRest(server, secrets));
  await fetch(`${server.url}/`);
  return secrets;
}
