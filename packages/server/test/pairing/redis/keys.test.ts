// The keys of the store in Redis: expiry to the millisecond, one prefix, and no secrets in key names.

import { describeWith } from '@couplet/testkit/components';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Repeatable } from '../../../src/http/idempotency.js';
import { openRedisStore, type RedisStoreOptions } from '../../../src/pairing/redis/store.js';
import type { PairingStore } from '../../../src/pairing/store.js';
import { newPrefix, openRedis } from '../../support/redis-stores.js';
import { accept, create, secretOf } from '../../support/store-calls.js';

const NOW = Date.UTC(2100, 0, 1);
const once = (key: string): Repeatable => ({
  key,
  fingerprint: key,
  address: 'x',
  keptUntil: NOW + 600_000,
});

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

  test('a code in real time is deleted from Redis when it expires', async () => {
    const { store, keys } = await open({ isTimeGiven: false });
    const now = Date.now();
    await create(store, '000001', 'a', now + 300, now);
    await expect
      .poll(async () => (await keys()).filter((key) => key.endsWith('pending:000001')))
      .toEqual([]);
    expect((await store.check('000001', 'a', now)).kind).toBe('not_found_or_expired');
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
    await create(store, '000001', 'DEVICE-A', NOW + 60_000, NOW, once('KEY-1'));
    await accept(store, '000001', 'DEVICE-B', 'ROOM-ID', NOW + 600_000, NOW, once('KEY-2'));
    await create(store, '000002', 'DEVICE-A', NOW + 60_000, NOW);
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
    await create(store, '000001', 'a', NOW + 60_000, NOW);
    await accept(store, '000001', 'b', 'room', NOW + 600_000, NOW);
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

  test('a purge in several portions counts a kept pending once', async () => {
    const { store } = await open({ purgePortion: 1 });
    for (let n = 0; n < 210; n++) {
      const code = String(n).padStart(6, '0');
      await create(store, code, 'a', NOW + 60_000, NOW);
      await accept(store, code, 'b', `room${n}`, NOW + 600_000, NOW);
      await store.check(code, 'a', NOW);
    }
    await create(store, '900001', 'a', NOW + 60_000, NOW);
    await store.check('900001', 'a', NOW, undefined, true, secretOf('a', '900001'));
    const counts = { roomsDeleted: 210, pendingsDeleted: 0, roomsKept: 0, pendingsKept: 1 };
    expect(await store.purge(['a'], NOW)).toEqual({ kind: 'purged', ...counts });
  });

  test('all stores share the records, which outlive each store', async () => {
    const { redis, prefix, store } = await open();
    const other = openRedisStore(redis, { prefix, isTimeGiven: true });
    await create(store, '000001', 'a', NOW + 60_000, NOW);
    const both = await Promise.all(
      [store, other].map((each, n) =>
        accept(each, '000001', 'b', `room${n}`, NOW + 600_000, NOW, once('key')),
      ),
    );
    expect(both[0]).toEqual(both[1]);
    expect(both[0]?.kind).toBe('accepted');
    expect(await other.firstTime(NOW, once('key'))).toEqual(both[0]);
    expect(await other.firstTime(NOW, { ...once('key'), fingerprint: 'x' })).toEqual({
      kind: 'key_reused',
    });
    const later = NOW + 600_000;
    expect(await other.firstTime(later, once('key'))).toEqual({ kind: 'first', at: later });
    expect(await other.firstTime(NOW, once('time'))).toEqual({ kind: 'first', at: NOW });
    expect(await store.firstTime(NOW + 5, once('time'))).toEqual({ kind: 'first', at: NOW });
  });
});
