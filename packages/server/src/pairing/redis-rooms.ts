// Rooms in Redis, and which device has which: also what finishes an accept that its node did not.
//
// An accept is committed on its pending, which carries the room. What follows lies in other slots: first the entries
// of both devices, then the room, then a mark on the pending. In this order a purge finds whatever it raced with: it
// sees the pending, or an entry, and either forbids the room.
import { defineScript, type Redis } from '../platform/redis.js';
import { hashOf, type StoreKeys } from './redis-keys.js';
import { MARK_DONE } from './redis-pending-scripts.js';
import {
  DROP_ROOM,
  GIVE_ROOM,
  PUT_ROOM,
  RELEASE,
  TAKE_ROOM,
  USE_ROOM,
} from './redis-room-scripts.js';
import type { Room } from './store.js';

/** A pending that was accepted, as the scripts tell of it. */
export interface Accepted {
  readonly joinCode: string;
  readonly client1: string;
  readonly client2: string;
  readonly roomId: string;
  readonly expiresAt: number;
  /** Whether room and devices have been written. */
  readonly isDone: boolean;
  /** What the address of its creator counted as. */
  readonly origin: string;
  /** Nodes that hold checks of it. */
  readonly holders: string;
}

/** Reads what a script tells of a pending, behind its own word. */
export function acceptedOf(joinCode: string, reply: readonly string[]): Accepted {
  const [, client1 = '', client2 = '', roomId = '', expiresAt, isDone, origin = '', holders = ''] =
    reply;
  return {
    joinCode,
    client1,
    client2,
    roomId,
    expiresAt: Number(expiresAt),
    isDone: isDone === '1',
    origin,
    holders,
  };
}

/** For how long a deleted room cannot be made again: longer than any accept takes to be finished. */
const FORBIDDEN_MS = 120_000;

/** A use is noted at most this often, as in SQLite. */
const USE_GRANULARITY_MS = 24 * 3600 * 1000;

const PROBE = defineScript(
  'probe',
  `
-- KEYS 1 the place
-- ARGV 1 now
redis.call('SET', KEYS[1], ARGV[1], 'PX', 60000)
return 1`,
);

export type RedisRooms = ReturnType<typeof redisRooms>;

export function redisRooms(redis: Redis, keys: StoreKeys, roomIdleMs: number) {
  const entryOf = (roomHash: string) => `r${roomHash}`;

  const takeFrom = (deviceIds: readonly string[], roomHash: string) =>
    Promise.all(
      deviceIds.map((id) => redis.write(TAKE_ROOM, keys.device(id), [entryOf(roomHash)])),
    );

  /** Deletes a room; resolves to its devices, null where it had been deleted, undefined where there was none. */
  const drop = async (roomHash: string, alsoAbsent: boolean) => {
    const args = [roomHash, String(FORBIDDEN_MS), alsoAbsent ? '1' : '0'];
    const reply = await redis.write(DROP_ROOM, keys.room(roomHash), args);
    const known = reply as string | null;
    if (known === null) return undefined;
    return known === '' ? null : devicesOf(known);
  };

  return {
    /** Writes what an accept has committed; running it again changes nothing. */
    async finish(accepted: Accepted, now: number): Promise<void> {
      if (accepted.isDone) return;
      const { joinCode, client1, client2, roomId, expiresAt } = accepted;
      const roomHash = hashOf(roomId);
      const give = (deviceId: string, made: string, took: string) =>
        redis.write(GIVE_ROOM, keys.device(deviceId), [
          entryOf(roomHash),
          made,
          took,
          String(expiresAt),
          String(now),
        ]);
      await Promise.all([give(client1, `p${joinCode}`, ''), give(client2, '', joinCode)]);
      const value = JSON.stringify([client1, client2]);
      const kept = await redis.write(PUT_ROOM, keys.room(roomHash), [value, roomHash, String(now)]);
      // Deleted before it was there: by a purge that came upon the pending.
      if (kept === '') await takeFrom([client1, client2], roomHash);
      await redis.write(MARK_DONE, [keys.pending(joinCode)[0]], [roomId]);
    },

    /** Writes a room that comes from elsewhere; resolves to whether Redis knew none of this id. */
    async put({ roomId, client1, client2 }: Room, usedAt: number): Promise<boolean> {
      const roomHash = hashOf(roomId);
      const [key] = keys.room(roomHash);
      if ((await redis.command(key, ['GET', key])) !== null) return false;
      const give = (deviceId: string) =>
        redis.write(GIVE_ROOM, keys.device(deviceId), [entryOf(roomHash), '', '', '0', '0']);
      await Promise.all([give(client1), give(client2)]);
      const value = JSON.stringify([client1, client2]);
      const args = [value, roomHash, String(usedAt)];
      return (await redis.write(PUT_ROOM, keys.room(roomHash), args)) === value;
    },

    async find(roomId: string, now: number): Promise<Room | undefined> {
      const roomHash = hashOf(roomId);
      const [key, index] = keys.room(roomHash) as [string, string];
      const known = (
        roomIdleMs === 0
          ? await redis.command(key, ['GET', key])
          : await redis.run(
              USE_ROOM,
              [key, index],
              [roomHash, String(now), String(USE_GRANULARITY_MS)],
            )
      ) as string | null;
      if (known === null || known === '') return undefined;
      const [client1, client2] = devicesOf(known);
      return { roomId, client1, client2 };
    },

    /** Whether the room is there; counts as no use of it. */
    async exists(roomId: string): Promise<boolean> {
      const [key] = keys.room(hashOf(roomId)) as [string, string];
      const known = await redis.command(key, ['GET', key]);
      return known !== null && known !== '';
    },

    /** Resolves to whether there was one. */
    async delete(roomId: string): Promise<boolean> {
      const roomHash = hashOf(roomId);
      const devices = await drop(roomHash, false);
      if (devices) await takeFrom(devices, roomHash);
      return devices != null;
    },

    /** Deletes the room of a device's entry, or of a pending, and forbids it; resolves to whether it was there. */
    async purge(roomHash: string, deviceIds: readonly string[], isPromised: boolean) {
      const devices = await drop(roomHash, true);
      await takeFrom(devices ?? deviceIds, roomHash);
      // An accept that was not finished has made its room, as far as anyone can tell.
      return devices != null || (devices === undefined && isPromised);
    },

    takeFrom,

    /** Gives back what a pending took of the limits of its device and its address. */
    async release({ joinCode, client1, client2, expiresAt, origin }: Accepted): Promise<void> {
      const until = String(expiresAt);
      const [own] = keys.device(client1);
      const [address] = keys.address(origin);
      const releases = [
        redis.run(RELEASE, [own], [`p${joinCode}`, until]),
        redis.command(address, ['ZREM', address, joinCode]),
      ];
      if (client2 !== '') {
        const [, accepted] = keys.device(client2) as [string, string];
        releases.push(redis.run(RELEASE, [accepted], [joinCode, until]));
      }
      // What is not given back now goes with its expiry.
      await Promise.allSettled(releases);
    },

    probe: (now: number) => redis.write(PROBE, keys.probe(), [String(now)]),
  };
}

export const devicesOf = (value: string): [string, string] => JSON.parse(value);
