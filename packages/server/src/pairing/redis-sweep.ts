// What in Redis is swept, and how much there is: by the indices of the buckets, never by a scan of all keys.
import type { Redis } from '../platform/redis.js';
import type { IndexKind, StoreKeys } from './redis-keys.js';
import { SWEEP_PENDING } from './redis-pending-scripts.js';
import { SWEEP_ROOM } from './redis-room-scripts.js';
import { devicesOf, type RedisRooms } from './redis-rooms.js';
import type { StoreCounts, SweepCounts } from './store.js';

/** Buckets that are worked on at once. */
const AT_ONCE = 32;

/** Entries of one bucket that are looked at in one go. */
const PORTION = 500;

export function redisSweep(redis: Redis, keys: StoreKeys, rooms: RedisRooms, roomIdleMs: number) {
  const countOf = async (kind: IndexKind): Promise<number> => {
    let total = 0;
    await eachOf(keys.indices(kind), async (index) => {
      // First the answer: += would take the sum of before.
      const count = await redis.command(index, ['ZCARD', index]);
      total += count as number;
    });
    return total;
  };

  /** Calls `work` with each entry of an index up to a score, until none is left. */
  const upTo = (kind: IndexKind, score: string, work: (entry: string) => Promise<void>) =>
    eachOf(keys.indices(kind), async (index) => {
      for (;;) {
        const limit = ['LIMIT', '0', String(PORTION)];
        const reply = await redis.command(index, ['ZRANGEBYSCORE', index, '-inf', score, ...limit]);
        const entries = reply as string[];
        for (const entry of entries) await work(entry);
        if (entries.length < PORTION) return;
      }
    });

  return {
    async sweep(now: number): Promise<SweepCounts> {
      const swept = { pendings: 0, rooms: 0 };
      await upTo('pendings', String(now), async (joinCode) => {
        const args = [joinCode, String(now)];
        const removed = await redis.run(SWEEP_PENDING, keys.pending(joinCode), args);
        swept.pendings += removed as number;
      });
      await eachOf(keys.indices('records'), async (index) => {
        await redis.command(index, ['ZREMRANGEBYSCORE', index, '-inf', String(now)]);
      });
      if (roomIdleMs === 0) return swept;
      const before = String(now - roomIdleMs);
      await upTo('rooms', `(${before}`, async (roomHash) => {
        const reply = await redis.run(SWEEP_ROOM, keys.room(roomHash), [roomHash, before]);
        const known = reply as string | null;
        if (known === null || known === '') return;
        swept.rooms += 1;
        await rooms.takeFrom(devicesOf(known), roomHash);
      });
      return swept;
    },

    async counts(): Promise<StoreCounts> {
      const [pendings, roomCount, idempotencyRecords] = await Promise.all([
        countOf('pendings'),
        countOf('rooms'),
        countOf('records'),
      ]);
      return { pendings, rooms: roomCount, idempotencyRecords };
    },
  };
}

async function eachOf(all: readonly string[], work: (one: string) => Promise<void>): Promise<void> {
  for (let start = 0; start < all.length; start += AT_ONCE) {
    await Promise.all(all.slice(start, start + AT_ONCE).map(work));
  }
}
