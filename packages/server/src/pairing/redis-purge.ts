// Forgetting a device in Redis: its pendings, its rooms, its entries, in this order, so that a purge that was cut short can be repeated.
import type { Redis } from '../platform/redis.js';
import { hashOf, type StoreKeys } from './redis-keys.js';
import { PURGE_PENDING } from './redis-pending-scripts.js';
import { RELEASE } from './redis-room-scripts.js';
import { type Accepted, acceptedOf, type RedisRooms } from './redis-rooms.js';
import type { PurgeOutcome } from './store.js';

/** Devices that are worked on at once. */
const AT_ONCE = 16;

export interface PurgeDeps {
  redis: Redis;
  keys: StoreKeys;
  rooms: RedisRooms;
  /** Told of each pending that was deleted. */
  deleted: (pending: Accepted) => void;
}

export function redisPurge({ redis, keys, rooms, deleted }: PurgeDeps) {
  /** Deletes a pending if it is of this device. */
  const purgePending = async (joinCode: string, deviceId: string) => {
    const reply = await redis.write(PURGE_PENDING, keys.pending(joinCode), [joinCode, deviceId]);
    const [kind] = reply as string[];
    return kind === 'purged' ? acceptedOf(joinCode, reply as string[]) : undefined;
  };

  const purgeDevice = async (deviceId: string) => {
    const [own, accepted] = keys.device(deviceId) as [string, string];
    const range = (key: string) => redis.command(key, ['ZRANGE', key, '0', '-1', 'WITHSCORES']);
    const [entries, codes] = (await Promise.all([range(own), range(accepted)])) as [
      [string, number][],
      [string, number][],
    ];
    const made = entries.filter(([entry]) => entry.startsWith('p'));
    let pendingsDeleted = 0;
    let roomsDeleted = 0;

    for (const [joinCode, key, entry, until] of [
      ...made.map(([entry, until]) => [entry.slice(1), own, entry, until] as const),
      ...codes.map(([entry, until]) => [entry, accepted, entry, until] as const),
    ]) {
      const pending = await purgePending(joinCode, deviceId);
      // Its creator may just be about to write it: an entry without a pending stays, and expires.
      if (pending === undefined) continue;
      pendingsDeleted += 1;
      deleted(pending);
      const { roomId, client1, client2, isDone } = pending;
      if (roomId !== '') {
        const wasThere = await rooms.purge(hashOf(roomId), [client1, client2], !isDone);
        if (wasThere) roomsDeleted += 1;
      }
      await redis.write(RELEASE, [key], [entry, String(until)]);
      await rooms.release(pending);
    }
    for (const [entry] of entries) {
      if (!entry.startsWith('r')) continue;
      if (await rooms.purge(entry.slice(1), [deviceId], false)) roomsDeleted += 1;
    }
    return { pendingsDeleted, roomsDeleted };
  };

  return async (deviceIds: readonly string[]): Promise<PurgeOutcome> => {
    const left = [...new Set(deviceIds)];
    const outcome: PurgeOutcome = { kind: 'purged', roomsDeleted: 0, pendingsDeleted: 0 };
    while (left.length > 0) {
      const counts = await Promise.all(left.splice(0, AT_ONCE).map(purgeDevice));
      for (const { pendingsDeleted, roomsDeleted } of counts) {
        outcome.pendingsDeleted += pendingsDeleted;
        outcome.roomsDeleted += roomsDeleted;
      }
    }
    return outcome;
  };
}
