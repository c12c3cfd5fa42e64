// A node dies before a request reaches Redis or before the reply arrives: the request has its full effect or none.

import { describeWith } from '@couplet/testkit/components';
import { type RedisCluster, startRedisCluster } from '@couplet/testkit/redis-servers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import type { Repeatable } from '../../../src/http/idempotency.js';
import { openRedisStore } from '../../../src/pairing/redis/store.js';
import type { PairingStore } from '../../../src/pairing/store.js';
import type { Redis } from '../../../src/redis/client.js';
import { newPrefix, openRedis } from '../../support/redis-stores.js';
import { accept, create } from '../../support/store-calls.js';

const NOW = Date.UTC(2100, 0, 1);
const LATER = NOW + 60_000;
const UNTIL = NOW + 600_000;
const once = (key: string, request = key): Repeatable => ({
  key,
  fingerprint: request,
  address: '192.0.2.1',
  keptUntil: UNTIL,
});

/** A node that dies after a number of steps. The step at which it dies is either carried out or not. */
function mortal(redis: Redis, steps: number, isTaken: boolean) {
  let taken = 0;
  const step = async (work: () => Promise<unknown>): Promise<never> => {
    taken += 1;
    if (taken === steps + 1 && isTaken) await work();
    if (taken > steps) throw new Unavailable(new Error('this node has died'));
    return (await work()) as never;
  };
  const dying: Redis = {
    ...redis,
    command: (...args) => step(() => redis.command(...args)),
    run: (...args) => step(() => redis.run(...args)),
    write: (...args) => step(() => redis.write(...args)),
  };
  return { dying, died: () => taken > steps };
}

interface Scene {
  /** Prepares the scene; the node does not die here. */
  before?: (store: PairingStore) => Promise<unknown>;
  /** The request during which the node dies. */
  act: (store: PairingStore) => Promise<unknown>;
  /** Checks through another node, which must pass after every step. */
  holds: (store: PairingStore, wasAnswered: boolean) => Promise<void>;
}

describeWith(['redis-server'], 'a node that dies at any step', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  /** Runs a scene once for every step in it. */
  const play = async ({ before, act, holds }: Scene) => {
    const redis = await openRedis(cluster.url);
    let played = 0;
    for (const isTaken of [false, true]) {
      for (let steps = 0; ; steps++) {
        const prefix = newPrefix();
        const store = openRedisStore(redis, { prefix, isTimeGiven: true });
        await before?.(store);
        const { dying, died } = mortal(redis, steps, isTaken);
        const wasAnswered = await act(openRedisStore(dying, { prefix, isTimeGiven: true })).then(
          () => true,
          () => false,
        );
        try {
          await holds(store, wasAnswered);
        } catch (error) {
          throw new Error(`after step ${steps}, ${isTaken ? 'taken' : 'not taken'}`, {
            cause: error,
          });
        }
        played += 1;
        if (!died()) break;
      }
    }
    return played;
  };
  const waits = (store: PairingStore) => create(store, '000001', 'a', LATER, NOW);
  const paired = async (store: PairingStore) => {
    await waits(store);
    await accept(store, '000001', 'b', 'room', UNTIL, NOW);
  };
  const room = { roomId: 'room', client1: 'a', client2: 'b' };

  test('in an accept: the code is free to accept or its creator gets the room, and both rooms are found', async () => {
    const played = await play({
      before: waits,
      act: (store) => accept(store, '000001', 'b', 'room', UNTIL, NOW),
      holds: async (store) => {
        const again = await accept(store, '000001', 'c', 'other', UNTIL, NOW);
        const winner = again.kind === 'accepted' ? 'c' : 'b';
        const roomId = winner === 'c' ? 'other' : 'room';
        expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'collected', roomId });
        expect(await store.findRoom(roomId, NOW)).toMatchObject({ client1: 'a', client2: winner });
        for (const device of ['a', winner]) {
          expect((await store.purge([device], NOW)).kind).toBe('purged');
        }
        expect(await store.findRoom(roomId, NOW)).toBeUndefined();
      },
    });
    // Before its only step, after it, and in two more runs without a crash.
    expect(played).toBe(4);
  });

  test('in an accept: a check shows whether it was done', async () => {
    await play({
      before: waits,
      act: (store) => accept(store, '000001', 'b', 'room', UNTIL, NOW),
      holds: async (store, wasAnswered) => {
        const outcome = await store.check('000001', 'a', NOW);
        if (wasAnswered) expect(outcome.kind).toBe('collected');
        if (outcome.kind === 'collected')
          expect(await store.findRoom('room', NOW)).toMatchObject(room);
        else expect(outcome.kind).toBe('waiting');
      },
    });
  });

  test('in an accept with a key: its repeat returns the same accept, even after the room was collected', async () => {
    for (const isCollected of [false, true]) {
      const act = (store: PairingStore, roomId: string) =>
        accept(store, '000001', 'b', roomId, UNTIL, NOW, once('key'));
      await play({
        before: waits,
        act: (store) => act(store, 'room'),
        holds: async (store) => {
          const first = isCollected ? await store.check('000001', 'a', NOW) : undefined;
          const repeat = await act(store, 'another id');
          expect(repeat.kind).toBe('accepted');
          const { roomId } = repeat as { roomId: string };
          if (first?.kind === 'collected') expect(roomId).toBe(first.roomId);
          expect(await store.findRoom(roomId, NOW)).toMatchObject({ client1: 'a', client2: 'b' });
          expect(await act(store, 'a third id')).toEqual(repeat);
        },
      });
    }
  });

  test('in a create with a key: its repeat returns the first expiry, and no other device gets the code', async () => {
    const act = (store: PairingStore, expiresAt: number) =>
      create(store, '000001', 'a', expiresAt, NOW, once('key'));
    await play({
      act: (store) => act(store, LATER),
      holds: async (store) => {
        const repeat = await act(store, LATER + 5000);
        expect(repeat.kind).toBe('created');
        const { expiresAt } = repeat as { expiresAt: number };
        expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'waiting', expiresAt });
        expect(await create(store, '000001', 'z', LATER, NOW)).toEqual({ kind: 'conflict' });
      },
    });
  });

  test('in a check with a key: its repeat returns the room, and the code is free afterwards', async () => {
    const act = (store: PairingStore) => store.check('000001', 'a', NOW, once('key'));
    await play({
      before: paired,
      act,
      holds: async (store) => {
        expect(await act(store)).toEqual({ kind: 'collected', roomId: 'room' });
        expect(await act(store)).toEqual({ kind: 'collected', roomId: 'room' });
        expect(await store.findRoom('room', NOW)).toMatchObject(room);
      },
    });
  });

  test('in a check without a key: the room exists, and the code is free or the next check collects it', async () => {
    await play({
      before: paired,
      act: (store) => store.check('000001', 'a', NOW),
      holds: async (store) => {
        await store.check('000001', 'a', NOW);
        expect(await store.findRoom('room', NOW)).toMatchObject(room);
        expect(await create(store, '000001', 'c', LATER, NOW)).toMatchObject({ kind: 'created' });
      },
    });
  });

  test('in a purge: the next purge leaves no row of the device', async () => {
    await play({
      before: async (store) => {
        await paired(store);
        await create(store, '000002', 'a', LATER, NOW);
        await create(store, '000003', 'c', LATER, NOW);
        await accept(store, '000003', 'a', 'ca', UNTIL, NOW);
        await store.check('000003', 'c', NOW);
        await create(store, '000004', 'c', LATER, NOW);
      },
      act: (store) => store.purge(['a'], NOW),
      holds: async (store) => {
        await store.purge(['a'], NOW);
        for (const roomId of ['room', 'ca']) {
          expect(await store.findRoom(roomId, NOW)).toBeUndefined();
        }
        for (const joinCode of ['000001', '000002']) {
          expect((await store.check(joinCode, 'a', NOW)).kind).toBe('not_found_or_expired');
        }
        expect((await store.check('000004', 'c', NOW)).kind).toBe('waiting');
        expect(await store.counts()).toMatchObject({ pendings: 1, rooms: 0 });
      },
    });
  });

  test('in a purge with a key: its repeat returns the total counts, even of a purge in several portions', async () => {
    const rooms = 301;
    const all = {
      kind: 'purged',
      roomsDeleted: rooms,
      pendingsDeleted: 2,
      roomsKept: 1,
      pendingsKept: 0,
    };
    const ids = ['nobody', 'a', 'b', 'a', 'c'];
    for (const purgePortion of [50, 5000]) {
      const redis = await openRedis(cluster.url);
      for (let steps = 0; ; steps++) {
        const options = { prefix: newPrefix(), isTimeGiven: true, purgePortion };
        const store = openRedisStore(redis, options);
        await Promise.all(
          Array.from({ length: rooms + 1 }, async (_, n) => {
            const code = String(n).padStart(6, '0');
            await create(store, code, 'a', LATER, NOW);
            await accept(store, code, 'b', `room ${n}`, UNTIL, NOW);
            await store.check(code, 'a', NOW);
          }),
        );
        await store.prove('room 7', 'b');
        await create(store, '900001', 'a', LATER, NOW);
        await create(store, '900002', 'c', LATER, NOW);
        const { dying, died } = mortal(redis, steps, steps % 2 === 0);
        const purge = (on: PairingStore) => on.purge(ids, NOW, once('purge'));
        const first = await purge(openRedisStore(dying, options)).catch(() => undefined);
        expect(await purge(store), `after step ${steps}`).toEqual(all);
        expect(await purge(store)).toEqual(all);
        expect((await store.counts()).rooms).toBe(1);
        if (died()) continue;
        expect(first).toEqual(all);
        if (purgePortion === 50) expect(steps).toBeGreaterThan(5);
        else expect(steps).toBe(1);
        break;
      }
    }
  });

  test('in an accept before a purge: neither room nor pending is left', async () => {
    for (const device of ['a', 'b']) {
      await play({
        before: waits,
        act: (store) => accept(store, '000001', 'b', 'room', UNTIL, NOW),
        holds: async (store) => {
          await store.purge([device], NOW);
          await store.check('000001', 'a', NOW);
          expect(await store.findRoom('room', NOW)).toBeUndefined();
          expect((await store.counts()).rooms).toBe(0);
        },
      });
    }
  });

  test('in a cancel: the next cancel leaves no pending of the code', async () => {
    await play({
      before: waits,
      act: (store) => store.cancel('000001', 'a', NOW),
      holds: async (store) => {
        await store.cancel('000001', 'a', NOW);
        expect((await store.check('000001', 'a', NOW)).kind).toBe('not_found_or_expired');
        expect((await store.counts()).pendings).toBe(0);
      },
    });
  });

  test('in a deletion: the room exists, or is deleted for good', async () => {
    await play({
      before: paired,
      act: (store) => store.deleteRoom('room'),
      holds: async (store) => {
        const before = await store.findRoom('room', NOW);
        await store.check('000001', 'a', NOW);
        expect(await store.findRoom('room', NOW)).toEqual(before);
        await store.deleteRoom('room');
        expect(await store.findRoom('room', NOW)).toBeUndefined();
      },
    });
  });
});
