// The rules of rooms that need unusual orders of events. The wire tests and the contract of the backplane cover the others.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type Effect,
  emptyRoom,
  type PairedDevices,
  type RoomEvent,
  type RoomState,
  transition,
} from '../../src/signaling/room.js';

const PAIRED = { client1: 'creator', client2: 'acceptor' };

const join = (
  connectionId: string,
  deviceId: string | null = null,
  devices: PairedDevices | null = null,
): RoomEvent => ({
  kind: 'join',
  member: { connectionId, deviceId },
  devices,
});

/** Runs events from an empty room; returns the room and the effects of the last event, in short. */
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

describe('devices that have proved themselves', () => {
  const [D, E] = ['creator', 'acceptor'];
  const BOTH = { ...PAIRED, proved1: true, proved2: true };
  const ONE = { ...PAIRED, proved1: true };
  /** A join of a device that has proved itself. */
  const prove = (connectionId: string, deviceId: string, devices: PairedDevices): RoomEvent => ({
    kind: 'join',
    member: { connectionId, deviceId, isProved: true },
    devices,
  });
  const seats = ({ members }: RoomState) => members.map(({ connectionId }) => connectionId);

  test('its seat is not taken over without its secret, and it gets no message', () => {
    for (const devices of [ONE, PAIRED, null]) {
      // Also by a join with a query older than the proof.
      const { room, told } = run(prove('d', D, ONE), join('e', E, ONE), join('x', D, devices));
      expect(told).toEqual(['x error']);
      expect(seats(room)).toEqual(['d', 'e']);
    }
  });

  test('its seat stays reserved in its absence: only one other member can be present', () => {
    const { room, told } = run(join('x', null, ONE), join('y', null, ONE));
    expect(told).toEqual(['y room_full']);
    expect(seats(room)).toEqual(['x']);
    expect(seats(run(join('x', null, ONE), prove('d', D, ONE)).room)).toEqual(['x', 'd']);
    expect(seats(run(prove('d', D, ONE), join('x', null, ONE)).room)).toEqual(['d', 'x']);
    expect(run(join('x', null, ONE), join('d', D, ONE)).told).toEqual(['d error']);
  });

  test('it gets a seat from two members that came before its proof; the other device may stay', () => {
    const { room, told } = run(join('x'), join('e', E), prove('d', D, ONE));
    expect(seats(room)).toEqual(['e', 'd']);
    expect(told.slice(0, 3)).toEqual(['x seat none', 'x close replaced', 'e peer_disconnected']);
    expect(told).toContain('e room_ready responder');
    expect(told).toContain('d room_ready initiator');
    expect(seats(run(join('x'), join('y'), prove('d', D, ONE)).room)).toEqual(['x', 'd']);
  });

  test('it takes its seat over from a member that only claimed its id', () => {
    const { room, told } = run(join('x', D), join('e', E), prove('d', D, ONE));
    expect(seats(room)).toEqual(['d', 'e']);
    expect(told).toContain('x close replaced');
  });

  test('if both have proved themselves, no other member stays or joins, even with a free seat', () => {
    for (const deviceId of [null, 'stranger', D, E]) {
      expect(run(prove('d', D, BOTH), join('x', deviceId, BOTH)).told).toEqual(['x error']);
      expect(run(join('x', deviceId, BOTH)).told).toEqual(['x error']);
      // A member from before the second proof is removed at the first join after it.
      const { room } = run(join('x', deviceId, PAIRED), prove('d', D, BOTH));
      expect(seats(room)).toEqual(['d']);
    }
  });

  test('a member that joins again and loses an intruder as its peer is told', () => {
    const { room, told } = run(prove('d', D, ONE), join('x', null, ONE), prove('d', D, BOTH));
    expect(seats(room)).toEqual(['d']);
    expect(told.slice(0, 3)).toEqual(['x seat none', 'x close replaced', 'd peer_disconnected']);
  });

  test('on its proved connection it need not send its device id again', () => {
    const { room } = run(prove('d', D, BOTH), join('d', null, BOTH));
    expect(room.members).toEqual([{ connectionId: 'd', deviceId: D, isProved: true }]);
    expect(run(prove('d', D, BOTH), join('d', E, BOTH)).told).toEqual(['d error']);
  });

  test('in any order of events, a proved device gets its seat, and there is no third member', () => {
    const flags = fc.constantFrom(null, PAIRED, ONE, BOTH, { ...PAIRED, proved2: true });
    const event = fc.record({
      who: fc.constantFrom('c0', 'c1', 'c2', 'c3'),
      deviceId: fc.constantFrom(null, D, E, 'other'),
      devices: flags,
      proves: fc.boolean(),
      leaves: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 12 }), (events) => {
        let room = emptyRoom('r');
        for (const { who, deviceId, devices, proves, leaves } of events) {
          const isProof = proves && (deviceId === D || deviceId === E);
          const known = isProof
            ? {
                ...(devices ?? PAIRED),
                ...(deviceId === D ? { proved1: true } : { proved2: true }),
              }
            : devices;
          const before = room.members.filter((member) => member.isProved);
          room = transition(
            room,
            leaves
              ? { kind: 'leave', connectionId: who }
              : isProof
                ? prove(who, deviceId, known as PairedDevices)
                : join(who, deviceId, known),
          ).room;
          expect(room.members.length).toBeLessThanOrEqual(2);
          if (isProof && !leaves) expect(seats(room)).toContain(who);
          // A proved member is replaced only by a connection with proof of the same device.
          for (const member of before) {
            const mayGo = member.connectionId === who || (isProof && deviceId === member.deviceId);
            if (!mayGo) expect(seats(room)).toContain(member.connectionId);
          }
        }
      }),
    );
  });
});
