// The effects from a known state to the present one, for each row of the table of catchUp in room-plan.ts.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { catchUp } from '../../../src/signaling/cluster/room-plan.js';
import type { RoomRecord } from '../../../src/signaling/cluster/room-record.js';
import {
  type Effect,
  initiator,
  type Member,
  type RoomState,
} from '../../../src/signaling/room.js';

const member = (text: string): Member => {
  const [connectionId = '', deviceId] = text.split('@');
  return { connectionId, deviceId: deviceId ?? null };
};

function record(
  generation: number,
  members: string[],
  devices: RoomState['devices'] = null,
): RoomRecord {
  const seated = members.map((one) => ({ ...member(one), node: 'p.1' }));
  return { version: generation, generation, roomId: 'r', members: seated, devices, past: [] };
}

const short = (effect: Effect): string => {
  if (effect.kind === 'close') return `close ${effect.reason}`;
  if (effect.kind === 'seat') {
    return `seat ${effect.seat === null ? 'none' : (effect.seat.peerId ?? 'alone')}`;
  }
  const { message } = effect;
  return 'isInitiator' in message ? `${message.type} ${message.isInitiator}` : message.type;
};

const told = (known: RoomRecord, now: RoomRecord, who = 'a'): string[] =>
  catchUp(known, now, (id) => id === who).map(short);

describe('a member that has missed changes', () => {
  test('is told nothing without a change', () => {
    expect(told(record(5, ['a', 'b']), record(5, ['a', 'b']))).toEqual([]);
  });

  test('is told that the peer has gone', () => {
    const expected = ['seat alone', 'peer_disconnected'];
    expect(told(record(5, ['a', 'b']), record(6, ['a']))).toEqual(expected);
  });

  test('is told that a peer has joined, and its role', () => {
    expect(told(record(5, ['a']), record(6, ['a', 'b']))).toEqual(['seat b', 'room_ready true']);
    expect(told(record(5, ['a']), record(6, ['b', 'a']))).toEqual(['seat b', 'room_ready false']);
  });

  test('is told of another peer by peer_disconnected and room_ready', () => {
    const expected = ['seat c', 'peer_disconnected', 'room_ready true'];
    expect(told(record(5, ['a', 'b']), record(7, ['a', 'c']))).toEqual(expected);
  });

  test('is told the same of a peer that left and joined again', () => {
    const expected = ['seat b', 'peer_disconnected', 'room_ready true'];
    expect(told(record(5, ['a', 'b']), record(7, ['a', 'b']))).toEqual(expected);
  });

  test('is told of a changed role', () => {
    const devices = { client1: 'creator', client2: 'acceptor' };
    const known = record(5, ['a', 'b'], devices);
    const now = record(5, ['a', 'b@creator'], devices);
    expect(told(known, now)).toEqual(['seat b', 'room_ready false']);
  });

  test('is closed as replaced if its device has the seat now', () => {
    const expected = ['seat none', 'close replaced'];
    expect(told(record(5, ['a@d', 'b']), record(6, ['c@d', 'b']))).toEqual(expected);
  });

  test('is closed as replaced if its device joined again and has left', () => {
    const now = (connectionId: string, until: number) => ({
      ...record(3, ['b']),
      past: [{ ...member(`${connectionId}@phone`), until }],
    });
    const close = (after: RoomRecord) => told(record(1, ['a@phone', 'b']), after).at(-1);
    expect(close(now('c', 2))).toBe('close replaced');
    expect(close(now('a', 2))).toBe('close try_again_later');
    // That was before, and what came in between is lost.
    expect(close(now('c', 1))).toBe('close try_again_later');
  });

  test('is closed with 1013 if its seat is gone, so the client joins again', () => {
    const expected = ['seat none', 'close try_again_later'];
    expect(told(record(5, ['a@d', 'b']), record(6, ['b', 'c']))).toEqual(expected);
  });
});

test('a member without a known seat is told nothing', () => {
  expect(told(record(5, ['b']), record(6, ['b', 'a']))).toEqual([]);
});

test('after any changes, a member has the peer and the role of the room', () => {
  const members = fc.uniqueArray(fc.constantFrom('a', 'b', 'c', 'd@x', 'e@x'), { maxLength: 2 });
  const generation = fc.integer({ min: 1, max: 3 });
  fc.assert(
    fc.property(members, members, generation, generation, (before, after, first, second) => {
      const known = record(first, before);
      // The same members cannot be of an older generation than others.
      const now = record(before.join() === after.join() ? second : first + 1, after);
      for (const { connectionId } of known.members) {
        const effects = catchUp(known, now, (id) => id === connectionId);
        let ready: boolean | null | undefined;
        for (const effect of effects) {
          if (effect.kind !== 'send') continue;
          const { message } = effect;
          ready = message.type === 'room_ready' ? message.isInitiator : null;
        }
        const sits = now.members.some((one) => one.connectionId === connectionId);
        expect(effects.some(({ kind }) => kind === 'close')).toBe(!sits);
        if (!sits || ready === undefined) continue;
        const isInitiator = initiator(now)?.connectionId === connectionId;
        expect(ready).toBe(now.members.length === 2 ? isInitiator : null);
      }
    }),
  );
});
