// Forgetting a device in Redis: its pendings, its rooms, its entries, in this order, so that a purge that was cut short can be repeated.
import { type DeleteProofs, DeleteRule } from '../platform/device-secrets.js';
import type { Redis } from '../platform/redis.js';
import { hashOf, type StoreKeys } from './redis-keys.js';
import { PURGE_PENDING } from './redis-pending-scripts.js';
import { RELEASE } from './redis-room-scripts.js';
import { type Accepted, acceptedOf, type RedisRooms, type RoomRule } from './redis-rooms.js';
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
  /** Deletes a pending if it is of this device, with its room; a room that is kept keeps its pending. */
  const purgePending = async (joinCode: string, deviceId: string, rule: DeleteRule) => {
    const attempt = async (roomId: string, proof: string) => {
      const args = [joinCode, deviceId, roomId, proof];
      const reply = await redis.write(PURGE_PENDING, keys.pending(joinCode), args);
      const [kind] = reply as string[];
      return { kind, pending: acceptedOf(joinCode, reply as string[]) };
    };
    let { kind, pending } = await attempt('', rule.isRequired ? 'required' : '0');
    if (kind === 'kept') {
      if (!rule.isProvedBy(pending.secret1)) return { kind };
      ({ kind, pending } = await attempt('', '1'));
    }
    if (kind === 'missing') return { kind };
    if (kind === 'purged') return { kind, pending, room: 'absent' as const };
    const { roomId, client1, client2, secret1, secret2, isDone } = pending;
    if (!isDone && !rule.allows(secret1, secret2)) return { kind: 'kept' };
    const room = await rooms.purge(hashOf(roomId), [client1, client2], !isDone, ofRoom(rule));
    if (room === 'forbidden') return { kind: 'kept', roomId };
    // Its room is gone: whatever becomes of the secrets meanwhile, it leads nowhere.
    const last = await attempt(roomId, '1');
    return last.kind === 'purged'
      ? { kind: 'purged', pending: last.pending, room }
      : { kind: 'missing', room };
  };

  const purgeDevice = async (deviceId: string, rule: DeleteRule, keptRooms: Set<string>) => {
    const [own, accepted] = keys.device(deviceId) as [string, string];
    const range = (key: string) => redis.command(key, ['ZRANGE', key, '0', '-1', 'WITHSCORES']);
    const [entries, codes] = (await Promise.all([range(own), range(accepted)])) as [
      [string, number][],
      [string, number][],
    ];
    const made = entries.filter(([entry]) => entry.startsWith('p'));
    const keptCodes: string[] = [];
    let pendingsDeleted = 0;
    let roomsDeleted = 0;

    for (const [joinCode, key, entry, until] of [
      ...made.map(([entry, until]) => [entry.slice(1), own, entry, until] as const),
      ...codes.map(([entry, until]) => [entry, accepted, entry, until] as const),
    ]) {
      const { kind, pending, room, roomId } = await purgePending(joinCode, deviceId, rule);
      if (room === 'deleted') roomsDeleted += 1;
      if (kind === 'kept') keptCodes.push(joinCode);
      if (roomId !== undefined) keptRooms.add(hashOf(roomId));
      // Its creator may just be about to write it: an entry without a pending stays, and expires.
      if (pending === undefined) continue;
      pendingsDeleted += 1;
      deleted(pending);
      await redis.write(RELEASE, [key], [entry, String(until)]);
      await rooms.release(pending);
    }
    for (const [entry] of entries) {
      if (!entry.startsWith('r')) continue;
      const roomHash = entry.slice(1);
      const room = await rooms.purge(roomHash, [deviceId], false, ofRoom(rule));
      if (room === 'deleted') roomsDeleted += 1;
      if (room === 'forbidden') keptRooms.add(roomHash);
    }
    return { pendingsDeleted, roomsDeleted, keptCodes };
  };

  return async (deviceIds: readonly string[], proofs: DeleteProofs): Promise<PurgeOutcome> => {
    const rule = new DeleteRule(proofs);
    const left = [...new Set(deviceIds)];
    // Of two devices that are both forgotten, each comes upon what the two share.
    const keptRooms = new Set<string>();
    const keptCodes = new Set<string>();
    let pendingsDeleted = 0;
    let roomsDeleted = 0;
    while (left.length > 0) {
      const devices = left.splice(0, AT_ONCE);
      const purged = await Promise.all(devices.map((id) => purgeDevice(id, rule, keptRooms)));
      for (const device of purged) {
        pendingsDeleted += device.pendingsDeleted;
        roomsDeleted += device.roomsDeleted;
        for (const joinCode of device.keptCodes) keptCodes.add(joinCode);
      }
    }
    return {
      kind: 'purged',
      roomsDeleted,
      pendingsDeleted,
      roomsKept: keptRooms.size,
      pendingsKept: keptCodes.size,
    };
  };
}

const ofRoom = (rule: DeleteRule): RoomRule => ({
  isRequired: rule.isRequired,
  allows: ({ secret1, secret2 }) => rule.allows(secret1, secret2),
});
