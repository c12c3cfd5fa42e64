// The two-seat rule, row by row of the table in room.ts.
import { expect, test } from 'vitest';
import {
  type Effect,
  emptyRoom,
  initiator,
  type RoomEvent,
  type RoomState,
  transition,
} from '../../src/signaling/room.js';

const PAIRED = { client1: 'creator', client2: 'acceptor' };

const join = (
  connectionId: string,
  deviceId: string | null = null,
  devices: typeof PAIRED | null = null,
): RoomEvent => ({
  kind: 'join',
  member: { connectionId, deviceId },
  devices,
});

/** Runs events from an empty room; returns the room and what the last event did, in short. */
function run(...events: RoomEvent[]): { room: RoomState; told: string[] } {
  let room = emptyRoom('r');
  let told: string[] = [];
  for (const event of events) {
    const result = transition(room, event);
    room = result.room;
    told = result.effects.map(inShort);
  }
  return { room, told };
}

function inShort(effect: Effect): string {
  switch (effect.kind) {
    case 'seat':
      return `${effect.to} seat ${effect.seat ? `opposite ${effect.seat.peerId}` : 'none'}`;
    case 'close':
      return `${effect.to} close ${effect.reason}`;
    case 'send': {
      const { message } = effect;
      const role =
        'isInitiator' in message ? ` ${message.isInitiator ? 'initiator' : 'responder'}` : '';
      return `${effect.to} ${message.type}${role}`;
    }
  }
}

test('the first member is the initiator and waits', () => {
  expect(run(join('a')).told).toEqual(['a seat opposite null', 'a room_joined initiator']);
});

test('with the second member the room is ready: the joiner is told before the waiter', () => {
  expect(run(join('a'), join('b')).told).toEqual([
    'b seat opposite a',
    'b room_joined responder',
    'b room_ready responder',
    'a seat opposite b',
    'a room_ready initiator',
  ]);
});

test('a third gets room_full and changes nothing', () => {
  const before = run(join('a'), join('b')).room;
  const { room, told } = run(join('a'), join('b'), join('c'));
  expect(told).toEqual(['c room_full']);
  expect(room).toEqual(before);
});

test('joining again alone is answered as a join', () => {
  expect(run(join('a'), join('a')).told).toEqual([
    'a seat opposite null',
    'a room_joined initiator',
  ]);
});

test('joining again in a full room disturbs nobody and keeps the role', () => {
  expect(run(join('a'), join('b'), join('a')).told).toEqual([
    'a seat opposite b',
    'a room_joined initiator',
    'a room_ready initiator',
  ]);
});

test('joining again without the device keeps the device that is known', () => {
  const { room } = run(join('a', 'creator'), join('a'));
  expect(room.members).toEqual([{ connectionId: 'a', deviceId: 'creator' }]);
});

test('joining again with a device that changes the roles tells the peer too', () => {
  expect(run(join('a'), join('b'), join('b', 'creator', PAIRED)).told).toEqual([
    'b seat opposite a',
    'b room_joined initiator',
    'b room_ready initiator',
    'a seat opposite b',
    'a room_ready responder',
  ]);
});

test('the same device takes the seat over, alone', () => {
  expect(run(join('a', 'd'), join('b', 'd')).told).toEqual([
    'a seat none',
    'a close replaced',
    'b seat opposite null',
    'b room_joined initiator',
  ]);
});

test('a take-over keeps the ghost’s place and role, and the peer sees it go and come', () => {
  const { room, told } = run(join('a', 'd'), join('b'), join('c', 'd'));
  expect(told).toEqual([
    'a seat none',
    'a close replaced',
    'b peer_disconnected',
    'c seat opposite b',
    'c room_joined initiator',
    'c room_ready initiator',
    'b seat opposite c',
    'b room_ready responder',
  ]);
  expect(room.members.map((member) => member.connectionId)).toEqual(['c', 'b']);
});

test('a member that turns out to be its peer’s device takes the peer’s seat, and is then alone', () => {
  const { room, told } = run(join('a', 'd'), join('b'), join('b', 'd'));
  expect(told).toEqual([
    'a seat none',
    'a close replaced',
    'b seat opposite null',
    'b room_joined initiator',
  ]);
  expect(room.members).toEqual([{ connectionId: 'b', deviceId: 'd' }]);
});

test('leaving tells the leaver and the peer, who is then the longest present', () => {
  const { room, told } = run(join('a'), join('b'), { kind: 'leave', connectionId: 'a' });
  expect(told).toEqual(['a seat none', 'a left_room', 'b seat opposite null', 'b peer_left']);
  expect(initiator(room)?.connectionId).toBe('b');
});

test('moving to another room tells only the peer', () => {
  expect(run(join('a'), join('b'), { kind: 'move', connectionId: 'a' }).told).toEqual([
    'b seat opposite null',
    'b peer_left',
  ]);
});

test('a disconnect tells only the peer', () => {
  expect(run(join('a'), join('b'), { kind: 'disconnect', connectionId: 'b' }).told).toEqual([
    'a seat opposite null',
    'a peer_disconnected',
  ]);
});

test.each(['leave', 'move', 'disconnect'] as const)(
  'a %s of one who is not in the room does nothing',
  (kind) => {
    const { room, told } = run(join('a'), { kind, connectionId: 'x' });
    expect(told).toEqual([]);
    expect(room.members).toHaveLength(1);
  },
);

test.each([
  ['creator first', ['creator', 'acceptor'], 'creator'],
  ['acceptor first', ['acceptor', 'creator'], 'creator'],
  ['creator, then one unknown', ['creator', null], 'creator'],
  ['one unknown, then the creator', [null, 'creator'], 'creator'],
  ['acceptor, then one unknown', ['acceptor', null], null],
  ['one unknown, then the acceptor', [null, 'acceptor'], null],
  ['a stranger’s device counts as unknown', ['stranger', 'acceptor'], 'stranger'],
])('in a paired room the creator is the initiator: %s', (_case, [first, second], expected) => {
  const { room } = run(join('a', first ?? null, PAIRED), join('b', second ?? null, PAIRED));
  expect(initiator(room)?.deviceId).toBe(expected);
});

test('in a paired room the acceptor that is alone is no initiator', () => {
  expect(run(join('a', 'acceptor', PAIRED)).told).toContain('a room_joined responder');
});

test('in a paired room where nobody is known, arrival decides', () => {
  const { room } = run(join('a', null, PAIRED), join('b', null, PAIRED));
  expect(initiator(room)?.connectionId).toBe('a');
});

test('an empty room has no initiator', () => {
  expect(initiator(emptyRoom('r'))).toBeUndefined();
  expect(initiator({ ...emptyRoom('r'), devices: PAIRED })).toBeUndefined();
});
