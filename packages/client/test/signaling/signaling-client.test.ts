// Tests the signaling client against a scripted server: joins, reconnects, and final errors.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { roomHint, SignalingClient } from '../../src/signaling/signaling-client.js';
import { FakeSocket } from '../support/fake-socket.js';

beforeEach(() => {
  FakeSocket.all.length = 0;
});

/** A client, and its events: of an end, the code. Without a room, it opens a connection for another client. */
function connect({ roomId = 'room', early }: { roomId?: string; early?: SignalingClient } = {}) {
  const clock = new FakeClock();
  const platform = { url: 'ws://server/', WebSocket: FakeSocket, clock, random: () => 1 };
  const client = new SignalingClient({ ...platform, roomId, deviceId: 'device', early });
  onTestFinished(() => client.close());
  const events: string[] = [];
  for (const name of ['joined', 'down', 'too-big'] as const) {
    client.on(name, () => events.push(name));
  }
  client.on('end', ({ code }) => events.push(code));
  return { client, clock, events };
}

/** Opens the latest connection, and answers the join. */
function join(): void {
  FakeSocket.latest.open();
  FakeSocket.latest.say({ type: 'room_joined' });
}

const sent = (type: string) => FakeSocket.latest.sent.filter((message) => message.type === type);

test('a connection without a room passes to the client that joins one, within three seconds', () => {
  const early = connect({ roomId: '' });
  FakeSocket.latest.open();
  FakeSocket.latest.say({ type: 'connected', maxMessageBytes: 100 });
  // Without a timer, it may be idle for as long as its code lives.
  expect(early.clock.pending).toBe(0);
  const { client, clock, events } = connect({ early: early.client });
  expect([FakeSocket.all.length, sent('join_room').length]).toEqual([1, 1]);
  // No answer: the connection may have been broken for minutes.
  clock.advance(3000);
  expect(events).toEqual(['down']);
  clock.advance(500);
  join();
  expect(events).toEqual(['down', 'joined']);
  // In bytes, not in characters.
  client.send({ type: 'webrtc_offer', sdp: 'ä'.repeat(40) });
  expect(events.at(-1)).toBe('too-big');
  expect(early.clock.pending).toBe(0);
});

test('a connection that opens slowly has ten seconds, also after it passed to a client, and is then closed', () => {
  const early = connect({ roomId: '' });
  // Without a close, a browser would delay the next attempt.
  early.clock.advance(10_000);
  expect(FakeSocket.latest.closed).toBe(true);
  early.clock.advance(500);
  const { clock, events } = connect({ early: early.client });
  expect(FakeSocket.all).toHaveLength(2);
  clock.advance(9999);
  expect([events, FakeSocket.latest.closed]).toEqual([[], false]);
  clock.advance(1);
  expect([events, FakeSocket.latest.closed]).toEqual([['down'], true]);
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

test.each([1012, 1013, 1006, 1001, 4008])('after %i the client reconnects with backoff', (code) => {
  const { client, clock, events } = connect();
  for (const [attempts, delayMs] of [500, 1000, 2000].entries()) {
    FakeSocket.latest.lose(code);
    clock.advance(delayMs - 1);
    expect(FakeSocket.all).toHaveLength(attempts + 1);
    clock.advance(1);
    expect(FakeSocket.all).toHaveLength(attempts + 2);
  }
  expect(events).toEqual(['down', 'down', 'down']);
  client.close();
  expect(clock.pending).toBe(0);
});

test('after 1008 the client does not reconnect', () => {
  const { clock, events } = connect();
  FakeSocket.latest.lose(1008);
  expect([events, clock.pending]).toEqual([['policy_violation'], 0]);
});

test('after 1009 the client reconnects, and does not send a message of that size again', () => {
  const { client, clock, events } = connect();
  const offer = (length: number) => client.send({ type: 'webrtc_offer', sdp: 'x'.repeat(length) });
  expect(offer(50)).toBe(false);
  join();
  expect([offer(50), offer(200)]).toEqual([true, true]);
  FakeSocket.latest.lose(1009);
  expect(events).toEqual(['joined', 'too-big', 'down']);
  clock.advance(500);
  join();
  expect([offer(200), offer(60)]).toEqual([false, true]);
  expect(sent('webrtc_offer')).toHaveLength(1);
});

test('a join that is refused temporarily is retried', () => {
  const { clock, events } = connect();
  FakeSocket.latest.open();
  FakeSocket.latest.say({ type: 'error', error: 'later', code: 'unavailable' });
  expect(events).toEqual(['down']);
  clock.advance(500);
  expect(FakeSocket.all).toHaveLength(2);
});

test('the client leaves a server that stops answering, but not one that answers pings', () => {
  const { clock, events } = connect();
  join();
  for (const data of ['no JSON', '5', '{"type":"from the future"}']) {
    FakeSocket.latest.onmessage?.({ data } as never);
  }
  FakeSocket.latest.say({ type: 'error', code: 'no_peer' });
  clock.advance(25_000);
  FakeSocket.latest.say({ type: 'pong' });
  clock.advance(24_999);
  expect([events, sent('ping').length]).toEqual([['joined'], 1]);
  clock.advance(1);
  expect(sent('ping')).toHaveLength(2);
  clock.advance(10_000);
  expect(events).toEqual(['joined', 'down']);
  clock.advance(500);
  expect(FakeSocket.all).toHaveLength(2);
});

test('a listener can close the client when the connection is lost', () => {
  const { client, clock } = connect();
  client.on('down', () => client.close());
  FakeSocket.latest.lose(1012);
  expect(clock.pending).toBe(0);
});
