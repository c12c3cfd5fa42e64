// Tests the signaling client against a scripted server: joins, reconnects, and final errors.
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, onTestFinished, test } from 'vitest';
import { WebSocket, WebSocketServer } from 'ws';
import {
  roomHint,
  SignalingClient,
  type SignalingEvents,
} from '../../src/signaling/signaling-client.js';

function join(url: string, roomId: string, deviceId = randomUUID() as string) {
  const clock = new FakeClock();
  const client = new SignalingClient({
    ...{ url, roomId, deviceId, WebSocket, clock },
    random: () => 1,
  });
  onTestFinished(() => client.close());
  const next = <Name extends keyof SignalingEvents>(name: Name) =>
    new Promise<SignalingEvents[Name]>((resolve) => {
      const off = client.on(name, (...args) => {
        off();
        resolve(args);
      });
    });
  return { client, clock, deviceId, next };
}

/** A server that sends scripted messages; `connection` is the latest one. */
async function scriptedServer(onMessage: (socket: WebSocket, message: string) => void) {
  const sockets = new WebSocketServer({ port: 0, host: '127.0.0.1' });
  onTestFinished(() => {
    for (const socket of sockets.clients) socket.terminate();
    sockets.close();
  });
  sockets.on('connection', (socket) => {
    socket.on('message', (data) => onMessage(socket, String(data)));
  });
  await once(sockets, 'listening');
  return { sockets, url: `ws://127.0.0.1:${(sockets.address() as AddressInfo).port}` };
}

test('a connection without a room passes to the client that joins one, within three seconds', async () => {
  const joins: string[] = [];
  const { sockets, url } = await scriptedServer((socket, message) => {
    if (joins.push(message) > 1) socket.send(JSON.stringify({ type: 'room_joined' }));
  });
  sockets.on('connection', (socket) => {
    socket.send(JSON.stringify({ type: 'connected', maxMessageBytes: 100 }));
  });
  const early = join(url, '');
  await once(sockets, 'connection');
  // Without a timer, it may be idle for as long as its code lives.
  await early.clock.reach(0);
  const clock = new FakeClock();
  const options = { url, roomId: 'room', deviceId: 'device', WebSocket, clock, random: () => 1 };
  const client = new SignalingClient({ ...options, early: early.client });
  onTestFinished(() => client.close());
  const states: string[] = [];
  for (const state of ['down', 'joined', 'too-big'] as const) {
    client.on(state, () => states.push(state));
  }
  await eventually(() => expect(joins).toHaveLength(1));
  expect(sockets.clients.size).toBe(1);
  // No answer: the connection may have been broken for minutes.
  clock.advance(3000);
  expect(states).toEqual(['down']);
  clock.advance(500);
  await eventually(() => expect(states).toEqual(['down', 'joined']));
  // In bytes, not in characters.
  client.send({ type: 'webrtc_offer', sdp: 'ä'.repeat(40) });
  expect(states.at(-1)).toBe('too-big');
  expect(early.clock.pending).toBe(0);
});

test('a connection that opens slowly has ten seconds, also after it passed to a client, and is then closed', async () => {
  let closed = 0;
  const slow = createServer((socket) => {
    // Without an answer, the handshake goes on.
    socket.resume().on('close', () => closed++);
    socket.on('error', () => {});
  });
  onTestFinished(() => void slow.close());
  await once(slow.listen(0, '127.0.0.1'), 'listening');
  const url = `ws://127.0.0.1:${(slow.address() as AddressInfo).port}/`;
  const early = join(url, '');
  await once(slow, 'connection');
  // Without a close, a browser would delay the next attempt.
  early.clock.advance(10_000);
  await eventually(() => expect(closed).toBe(1));
  early.clock.advance(500);
  await once(slow, 'connection');
  const states: string[] = [];
  const clock = new FakeClock();
  const options = { url, roomId: 'room', deviceId: 'device', WebSocket, clock };
  const client = new SignalingClient({ ...options, early: early.client });
  onTestFinished(() => client.close());
  client.on('down', () => states.push('down'));
  clock.advance(9999);
  expect(states).toEqual([]);
  clock.advance(1);
  expect(states).toEqual(['down']);
  await eventually(() => expect(closed).toBe(2));
});

test('the hash of a room id matches the specification, with 16 bits that differ between rooms', () => {
  const paper = readFileSync(new URL('../../../../docs/protocol.md', import.meta.url), 'utf8');
  const [, roomId = '', hint] = /`([0-9a-f]{48})`\s+has\s+`r=(\d+)`/.exec(paper) ?? [];
  expect(roomHint(roomId)).toBe(Number(hint));
  expect(roomHint('\u{1f4f1}')).toBe(0xf4f1);
  const hints = Array.from({ length: 5000 }, () => roomHint(randomBytes(24).toString('hex')));
  // Of 5,000 draws from 65,536 values, 4,814 are expected to differ.
  expect(new Set(hints).size).toBeGreaterThan(4700);
  expect(Math.max(...hints)).toBeLessThan(65_536);
});

test.each([1012, 1013, 1006, 1001, 4008])(
  'after %i the client reconnects with backoff',
  async (code) => {
    const { sockets, url } = await scriptedServer((socket) => {
      if (code === 1006) socket.terminate();
      else socket.close(code);
    });
    const { client, clock, next } = join(url, 'room');
    await next('down');
    for (const delayMs of [500, 1000]) {
      const connected = once(sockets, 'connection');
      const down = next('down');
      clock.advance(delayMs);
      await connected;
      await down;
    }
    client.close();
    expect(clock.pending).toBe(0);
  },
);

test('after 1008 the client does not reconnect', async () => {
  const { url } = await scriptedServer((socket) => socket.close(1008));
  const { clock, next } = join(url, 'room');
  expect(await next('end')).toMatchObject([{ code: 'policy_violation' }]);
  expect(clock.pending).toBe(0);
});

test('after 1009 the client reconnects, and does not send a message of that size again', async () => {
  const offers: string[] = [];
  const { sockets, url } = await scriptedServer((socket, text) => {
    const message = JSON.parse(text);
    if (message.type === 'join_room') socket.send(JSON.stringify({ type: 'room_ready' }));
    if (message.type === 'join_room') socket.send(JSON.stringify({ type: 'room_joined' }));
    if (message.type !== 'webrtc_offer') return;
    offers.push(message.sdp);
    if (message.sdp.length > 100) socket.close(1009);
  });
  const { client, clock, next } = join(url, 'room');
  await next('joined');
  const offer = (length: number) => client.send({ type: 'webrtc_offer', sdp: 'x'.repeat(length) });
  const closed = Promise.all([next('too-big'), next('down')]);
  expect([offer(50), offer(200)]).toEqual([true, true]);
  expect(await closed).toEqual([[], []]);
  const back = Promise.all([once(sockets, 'connection'), next('joined')]);
  clock.advance(500);
  await back;
  expect([offer(200), offer(60)]).toEqual([false, true]);
  await eventually(() => expect(offers.map(({ length }) => length)).toEqual([50, 200, 60]));
});

test('a join that is refused temporarily is retried', async () => {
  const { sockets, url } = await scriptedServer((socket) =>
    socket.send(JSON.stringify({ type: 'error', error: 'later', code: 'unavailable' })),
  );
  const { clock, next } = join(url, 'room');
  await next('down');
  const again = once(sockets, 'connection');
  clock.advance(500);
  await again;
});

test('the client leaves a server that stops answering, but not one that answers pings', async () => {
  let pings = 0;
  let tellPing: () => void = () => {};
  const { sockets, url } = await scriptedServer((socket, message) => {
    if (message.includes('join_room')) {
      for (const noise of ['no JSON', '5', '{"type":"from the future"}']) socket.send(noise);
      socket.send(JSON.stringify({ type: 'room_joined' }));
      socket.send(JSON.stringify({ type: 'error', code: 'no_peer' }));
      socket.send(JSON.stringify({ type: 'room_ready' }));
    } else {
      pings += 1;
      if (pings === 1) {
        socket.send(JSON.stringify({ type: 'pong' }));
        socket.send(JSON.stringify({ type: 'room_ready' }));
      } else tellPing();
    }
  });
  const { clock, next } = join(url, 'room');
  await next('ready');
  const answered = next('ready');
  clock.advance(25_000);
  await answered;
  const unanswered = new Promise<void>((resolve) => {
    tellPing = resolve;
  });
  clock.advance(25_000);
  await unanswered;
  const down = next('down');
  clock.advance(10_000);
  await down;
  const again = once(sockets, 'connection');
  clock.advance(500);
  await again;
});

test('a listener can close the client when the connection is lost', async () => {
  const { url } = await scriptedServer((socket) => socket.close(1012));
  const { client, clock, next } = join(url, 'room');
  client.on('down', () => client.close());
  await next('down');
  expect(clock.pending).toBe(0);
});
