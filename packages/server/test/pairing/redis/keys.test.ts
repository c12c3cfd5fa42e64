// The store in Redis: its keys, their expiry to the millisecond, and a node that dies during a request.

import { describeWith } from '@couplet/testkit/components';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import type { Repeatable } from '../../../src/http/idempotency.js';
import { openRedisStore, type RedisStoreOptions } from '../../../src/pairing/redis/store.js';
import type { PairingStore } from '../../../src/pairing/store.js';
import type { Redis } from '../../../src/redis/client.js';
import { newPrefix, openRedis } from '../../support/redis-stores.js';
import { accept, create, secretOf } from '../../support/store-calls.js';

const NOW = Date.UTC(2100, 0, 1);
const LATER = NOW + 60_000;
const UNTIL = NOW + 600_000;
const once = (key: string): Repeatable => ({
  key,
  fingerprint: key,
  address: 'x',
  keptUntil: UNTIL,
});

/** A node that dies after a number of steps. The step at which it dies is either carried out or not. */
function mortal(redis: Redis, steps: number, isTaken: boolean) {
  let taken = 0;
  const write: Redis['write'] = async (...args) => {
    taken += 1;
    if (taken === steps + 1 && isTaken) await redis.write(...args);
    if (taken > steps) throw new Unavailable(new Error('this node has died'));
    return redis.write(...args);
  };
  return { dying: { ...redis, write }, died: () => taken > steps };
}

describeWith(['redis-server'], 'the store in Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.dispose());

  const open = async (options: Partial<RedisStoreOptions> = {}) => {
    const redis = await openRedis(server.url);
    const prefix = newPrefix();
    const store = openRedisStore(redis, { prefix, isTimeGiven: true, ...options });
    const keys = async () => {
      const seen: string[] = [];
      for await (const portion of redis.scan('*')) seen.push(...portion);
      return seen.filter((key) => key.startsWith(prefix));
    };
    return { redis, prefix, store, keys };
  };

  test('a pending expires to the millisecond, and an accepted pending when it can no longer be collected', async () => {
    const { redis, store, keys } = await open();
    await create(store, '000001', 'a', NOW + 12_345, NOW);
    const [key = ''] = (await keys()).filter((name) => name.endsWith('pending:000001'));
    const expiry = () => redis.command(key, ['PEXPIRETIME', key]);
    expect(await expiry()).toBe(NOW + 12_345);
    await create(store, '000001', 'a', NOW + 99_999, NOW);
    expect(await expiry()).toBe(NOW + 99_999);
    await accept(store, '000001', 'b', 'room', NOW + 600_001, NOW);
    expect(await expiry()).toBe(NOW + 600_001);
  });

  test('Redis provides the time: a node whose clock is 30 seconds off pairs and reports like any other', async () => {
    for (const offMs of [30_000, -30_000]) {
      const { redis, prefix, store, keys } = await open({ isTimeGiven: false });
      const other = openRedisStore(redis, { prefix });
      const wrong = () => Date.now() + offMs;
      // Each code is created at one node and checked at both.
      const now = Date.now();
      await create(store, '000001', 'a', now + 20_000, now);
      const made = await create(other, '000002', 'a', wrong() + 20_000, wrong());
      const { expiresAt } = made as { expiresAt: number };
      expect(Math.abs(expiresAt - now - 20_000)).toBeLessThan(10_000);
      const [key = ''] = (await keys()).filter((name) => name.endsWith('pending:000002'));
      expect(await redis.command(key, ['PEXPIRETIME', key])).toBe(expiresAt);
      for (const code of ['000001', '000002']) {
        // The remaining lifetime is correct by the clock of the node that waits.
        const asked = wrong();
        const waits = (await other.check(code, 'a', asked)) as { kind: string; expiresAt: number };
        expect(waits.kind).toBe('waiting');
        expect(waits.expiresAt - asked).toBeGreaterThan(10_000);
        expect(waits.expiresAt - asked).toBeLessThanOrEqual(20_000);
        const until = wrong() + 600_000;
        const accepted = await accept(other, code, 'b', `room ${code}`, until, wrong());
        expect(accepted.kind).toBe('accepted');
        expect((await store.check(code, 'a', Date.now())).kind).toBe('collected');
        const target = { platform: 'ios', token: 'apns' } as const;
        await store.setPushTarget(`room ${code}`, 'a', target, Date.now());
        const claim = (through: PairingStore, now: number) =>
          through.claimPush(`room ${code}`, 'a', 20_000, now);
        expect((await claim(store, Date.now())).kind).toBe('claimed');
        expect((await claim(other, wrong())).kind).toBe('too_soon');
      }
    }
  });

  test('every key has the prefix, and no key contains the id of a device or a room', async () => {
    const { redis, prefix, store, keys } = await open();
    const before = new Set<string>();
    for await (const portion of redis.scan('*')) for (const key of portion) before.add(key);
    await create(store, '000001', 'DEVICE-A', LATER, NOW, once('KEY-1'));
    await accept(store, '000001', 'DEVICE-B', 'ROOM-ID', UNTIL, NOW, once('KEY-2'));
    await create(store, '000002', 'DEVICE-A', LATER, NOW);
    await store.probe(NOW);
    for await (const portion of redis.scan('*')) {
      for (const key of portion) if (!before.has(key)) expect(key.startsWith(prefix)).toBe(true);
    }
    const mine = await keys();
    expect(mine.length).toBeGreaterThan(8);
    expect(mine.join(' ')).not.toMatch(/DEVICE|ROOM|KEY-/);
  });

  test('a pairing leaves only its room and the lists of its devices; a purge leaves nothing permanent', async () => {
    const { redis, store, keys } = await open();
    await create(store, '000001', 'a', LATER, NOW);
    await accept(store, '000001', 'b', 'room', UNTIL, NOW);
    await store.check('000001', 'a', NOW);
    const lasting = async () => {
      const all = await keys();
      const lives = await Promise.all(all.map((key) => redis.command(key, ['PEXPIRETIME', key])));
      return all.filter((_, n) => lives[n] === -1);
    };
    // The room, the index of rooms, and one list for each device.
    expect(await lasting()).toHaveLength(4);
    await store.purge(['a'], NOW);
    expect(await lasting()).toEqual([]);
  });

  test('every request except a purge is one command: a node that dies at any moment leaves its whole effect or none', async () => {
    const { redis, store } = await open();
    const target = { platform: 'ios', token: 'apns' } as const;
    const proofs = { secrets: [secretOf('b', '000001')], isRequired: true };
    const requests = {
      create: () => create(store, '000001', 'a', LATER, NOW, once('create')),
      accept: () => accept(store, '000001', 'b', 'room', UNTIL, NOW, once('accept')),
      check: () => store.check('000001', 'a', NOW, once('check'), true, secretOf('a', '000001')),
      prove: () => store.prove('room', 'b'),
      'set the push target': () => store.setPushTarget('room', 'a', target, NOW, once('push')),
      'claim a push': () => store.claimPush('room', 'a', 1000, NOW),
      'forget the push target': () => store.forgetPushTarget('room', 'a', target),
      delete: () => store.deleteRoom('room', proofs),
      cancel: () => store.cancel('000001', 'a', NOW, once('cancel')),
    };
    // Redis gets the scripts at their first use.
    for (const request of Object.values(requests)) await request();
    await store.purge(['a', 'b'], NOW + 2 * (UNTIL - NOW));
    for (const [name, request] of Object.entries(requests)) {
      const before = redis.operations();
      await request();
      expect(redis.operations() - before, name).toBe(1);
    }
  });

  test('a purge whose node dies is completed by its repeat: with a key, it returns the total counts of all portions', async () => {
    const purged = { kind: 'purged', roomsDeleted: 101, pendingsDeleted: 1 };
    const all = { ...purged, roomsKept: 1, pendingsKept: 1 };
    const ids = ['nobody', 'a', 'b', 'a', 'c'];
    for (const [purgePortion, isKeyed] of [
      [20, true],
      [20, false],
      [5000, true],
    ] as const) {
      for (let steps = 0; ; steps++) {
        const { redis, prefix, store } = await open({ purgePortion });
        const codes = Array.from({ length: 102 }, (_, n) => String(n).padStart(6, '0'));
        await Promise.all(
          codes.map(async (code, n) => {
            await create(store, code, 'a', LATER, NOW);
            await accept(store, code, 'b', `room ${n}`, UNTIL, NOW);
            await store.check(code, 'a', NOW);
          }),
        );
        await store.prove('room 7', 'b');
        await create(store, '900001', 'a', LATER, NOW);
        await store.check('900001', 'a', NOW, undefined, true, secretOf('a', '900001'));
        await create(store, '900002', 'c', LATER, NOW);
        const purge = (on: PairingStore) => on.purge(ids, NOW, isKeyed ? once('purge') : undefined);
        const { dying, died } = mortal(redis, steps, steps % 2 === 0);
        const dyingStore = openRedisStore(dying, { prefix, isTimeGiven: true, purgePortion });
        const first = await purge(dyingStore).catch(() => undefined);
        const again = await purge(store);
        if (isKeyed) expect(again, `after step ${steps}`).toEqual(all);
        expect(await store.counts()).toMatchObject({ rooms: 1, pendings: 1 });
        if (died()) continue;
        expect(first).toEqual(all);
        if (purgePortion === 20) expect(steps).toBeGreaterThan(5);
        else expect(steps).toBe(1);
        break;
      }
    }
  });
});
