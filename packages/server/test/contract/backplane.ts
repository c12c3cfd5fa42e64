// The contract of every backplane: one suite, run once per implementation.
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Backplane, LocalConnections } from '../../src/signaling/backplane.js';
import type { Effect, PairedDevices, Seat } from '../../src/signaling/room.js';

export interface BackplaneUnderTest {
  /** The backplane of this connection's node. */
  backplaneOf(connectionId: string): Backplane;
  /** Resolves when all pending effects have been delivered. */
  settle(): Promise<void>;
  close(): Promise<void>;
}

/** Connections that only record their messages. */
export class RecordingConnections implements LocalConnections {
  readonly #effects = new Map<string, Effect[]>();
  readonly #frames = new Map<string, string[]>();
  readonly seats = new Map<string, Seat | null>();
  dropped = 0;

  deliver(effect: Effect): void {
    listOf(this.#effects, effect.to).push(effect);
    if (effect.kind === 'seat') this.seats.set(effect.to, effect.seat);
  }

  forward(connectionId: string, frame: string): boolean {
    listOf(this.#frames, connectionId).push(frame);
    return true;
  }

  dropFrame(): void {
    this.dropped += 1;
  }

  /** Takes the events of a connection: message types, roles, closes. */
  take(connectionId: string): string[] {
    const effects = this.#effects.get(connectionId) ?? [];
    this.#effects.delete(connectionId);
    return effects.flatMap((effect) => {
      if (effect.kind === 'seat') return [];
      if (effect.kind === 'close') return [`close ${effect.reason}`];
      const { message } = effect;
      return 'isInitiator' in message
        ? [`${message.type} ${message.isInitiator ? 'initiator' : 'responder'}`]
        : [message.type];
    });
  }

  frames(connectionId: string): string[] {
    return this.#frames.get(connectionId) ?? [];
  }
}

function listOf<T>(lists: Map<string, T[]>, key: string): T[] {
  const list = lists.get(key) ?? [];
  lists.set(key, list);
  return list;
}

export type OpenBackplane = (connections: RecordingConnections) => Promise<BackplaneUnderTest>;

export function backplaneContract(name: string, open: OpenBackplane): void {
  const setUp = async () => {
    const connections = new RecordingConnections();
    const backplane = await open(connections);
    onTestFinished(() => backplane.close());
    const join = (
      connectionId: string,
      roomId: string,
      deviceId: string | null = null,
      devices: PairedDevices | null = null,
    ) =>
      backplane.backplaneOf(connectionId).join(roomId, { connectionId, deviceId }, devices, null);
    /** Forwards a frame to the peer in the present seat, as the handlers do. */
    const send = (from: string, frame: string) => {
      const to = connections.seats.get(from)?.peerId;
      if (to) backplane.backplaneOf(from).forward(from, to, frame);
    };
    return { connections, backplane, join, send };
  };

  describe(`${name}: the backplane contract`, () => {
    test('of many concurrent joins exactly two get a seat, and one of them is the initiator', async () => {
      const { connections, backplane, join } = await setUp();
      const ids = Array.from({ length: 20 }, (_, n) => `c${n}`);
      const seated = await Promise.all(ids.map((id) => join(id, 'r')));
      await backplane.settle();
      expect(seated.filter(Boolean)).toHaveLength(2);
      const told = ids.map((id) => connections.take(id).at(-1));
      expect(told.filter((last) => last === 'room_ready initiator')).toHaveLength(1);
      expect(told.filter((last) => last === 'room_ready responder')).toHaveLength(1);
      expect(told.filter((last) => last === 'room_full')).toHaveLength(18);
    });

    test('frames reach their connection in order', async () => {
      const { connections, backplane, join, send } = await setUp();
      await join('a', 'r');
      await join('b', 'r');
      await backplane.settle();
      const isOneProcess = backplane.backplaneOf('a') === backplane.backplaneOf('b');
      expect(backplane.backplaneOf('a').reaches('a', 'b')).toBe(isOneProcess);
      const frames = Array.from({ length: 100 }, (_, n) => `frame ${n}`);
      for (const frame of frames) send('a', frame);
      await backplane.settle();
      expect(connections.frames('b')).toEqual(frames);
      expect(connections.frames('a')).toEqual([]);
    });

    test('a frame reaches no connection that is not the present peer', async () => {
      const { connections, backplane, join, send } = await setUp();
      await join('a', 'r');
      await join('b', 'r');
      await join('c', 'other');
      await backplane.settle();
      send('c', 'from another room');
      await backplane.backplaneOf('b').depart('r', 'b', 'leave');
      send('b', 'after leaving');
      await backplane.settle();
      send('a', 'to a peer that has left');
      await backplane.settle();
      for (const id of ['a', 'b', 'c']) expect(connections.frames(id)).toEqual([]);
    });

    test('a frame of an earlier generation does not reach members of a later one', async () => {
      const { connections, backplane, join, send } = await setUp();
      await join('a', 'r');
      await join('b', 'r');
      await backplane.settle();
      // In transit while its recipient leaves and comes back: it is older than the new generation.
      const leaving = backplane.backplaneOf('a').depart('r', 'a', 'leave');
      await leaving;
      send('b', 'old');
      await join('a', 'r');
      await backplane.settle();
      expect(connections.frames('a')).toEqual([]);
      send('b', 'new');
      await backplane.settle();
      expect(connections.frames('a')).toEqual(['new']);
    });

    test('a member that moves while another joins the old room has only the new seat', async () => {
      const { connections, backplane, join } = await setUp();
      await join('a', 'old');
      const plane = backplane.backplaneOf('a');
      await Promise.all([
        plane.join('new', { connectionId: 'a', deviceId: null }, null, 'old'),
        join('b', 'old'),
      ]);
      await backplane.settle();
      expect(connections.seats.get('a')).toMatchObject({ roomId: 'new', peerId: null });
      expect(connections.seats.get('b')).toMatchObject({ roomId: 'old', peerId: null });
    });

    test('a device that has proved itself owns its seat, with other members on any node', async () => {
      const { connections, backplane } = await setUp();
      const paired = { client1: 'creator', client2: 'acceptor' };
      const join = (connectionId: string, deviceId: string | null, proved?: object) =>
        backplane
          .backplaneOf(connectionId)
          .join(
            'r',
            { connectionId, deviceId, isProved: proved !== undefined && deviceId !== null },
            { ...paired, ...proved },
            null,
          );
      // Two other devices were first.
      expect(await join('x', null)).toBe(true);
      expect(await join('y', 'other')).toBe(true);
      expect(await join('a', 'creator', { proved1: true })).toBe(true);
      await backplane.settle();
      expect(connections.take('y').at(-1)).toBe('close replaced');
      expect(connections.take('a').at(-1)).toBe('room_ready initiator');
      expect(connections.take('x').slice(-2)).toEqual([
        'peer_disconnected',
        'room_ready responder',
      ]);
      // A join with a query older than the proof.
      expect(await join('b', 'creator')).toBe(false);
      await backplane.settle();
      expect(connections.take('b')).toEqual(['error']);
      expect(connections.take('a')).toEqual([]);
      expect(await join('c', 'acceptor', { proved1: true, proved2: true })).toBe(true);
      // The client of the replaced connection may disconnect before its node learns of it.
      await backplane.backplaneOf('x').depart('r', 'x', 'disconnect');
      await backplane.settle();
      expect(connections.take('x')).toEqual(['close replaced']);
      expect(connections.take('a').at(-1)).toBe('room_ready initiator');
      await backplane.backplaneOf('a').depart('r', 'a', 'leave');
      expect(await join('z', null)).toBe(false);
      await backplane.settle();
      expect(connections.take('z')).toEqual(['error']);
      expect(connections.seats.get('c')).toMatchObject({ peerId: null });
    });

    test('the rooms are those with members', async () => {
      const { backplane, join } = await setUp();
      await join('a', 'one');
      await join('b', 'two');
      await join('c', 'two');
      await backplane.backplaneOf('a').depart('one', 'a', 'disconnect');
      expect(await backplane.backplaneOf('b').rooms()).toEqual([{ roomId: 'two', members: 2 }]);
    });
  });
}
