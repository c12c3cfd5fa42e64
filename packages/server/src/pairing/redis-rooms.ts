// Rooms in Redis, and which device has which: also what finishes an accept that its node did not.
//
// An accept is committed on its pending, which carries the room. What follows lies in other slots: first the entries
// of both devices, then the room, then a mark on the pending. In this order a purge finds whatever it raced with: it
// sees the pending, or an entry, and either forbids the room.
import type { DeviceSecret } from '../platform/device-secrets.js';
import { defineScript, type Redis } from '../platform/redis.js';
import { hashOf, type StoreKeys } from './redis-keys.js';
import { MARK_DONE } from './redis-pending-scripts.js';
import {
  DROP_ROOM,
  GIVE_ROOM,
  PROVE_ROOM,
  PUT_ROOM,
  RELEASE,
  TAKE_ROOM,
  USE_ROOM,
} from './redis-room-scripts.js';
import type { DeleteOutcome, Room } from './store.js';

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
  readonly secret1: DeviceSecret | undefined;
  readonly secret2: DeviceSecret | undefined;
}

/** Reads what a script tells of a pending, behind its own word. */
export function acceptedOf(joinCode: string, reply: readonly string[]): Accepted {
  const [, client1 = '', client2 = '', roomId = '', expiresAt, isDone, origin = '', holders = ''] =
    reply;
  const [hash1, proved1, hash2] = reply.slice(8);
  return {
    joinCode,
    client1,
    client2,
    roomId,
    expiresAt: Number(expiresAt),
    isDone: isDone === '1',
    origin,
    holders,
    secret1: secretOf(hash1, proved1 === '1'),
    secret2: secretOf(hash2, false),
  };
}

const secretOf = (hash: string | undefined, isProved: boolean): DeviceSecret | undefined =>
  hash ? { hash, isProved } : undefined;

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

  /**
   * Deletes a room where `mayDelete` allows it; resolves to its devices, null where it had been deleted, undefined where
   * there was none, `kept` where it stays.
   */
  const drop = async (roomHash: string, alsoAbsent: boolean, { isRequired, allows }: RoomRule) => {
    const attempt = async (proof: string) => {
      const args = [roomHash, String(FORBIDDEN_MS), alsoAbsent ? '1' : '0', proof];
      const reply = await redis.write(DROP_ROOM, keys.room(roomHash), args);
      return reply as [string | null, string];
    };
    let [known, isKept] = await attempt(isRequired ? 'required' : '0');
    if (isKept === '1') {
      // The script does not compare secrets: it says that one is needed, and is asked again where one was sent.
      if (!allows(roomOf('', known as string))) return 'kept';
      [known, isKept] = await attempt('1');
    }
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
      const value = textOf(accepted);
      const kept = await redis.write(PUT_ROOM, keys.room(roomHash), [value, roomHash, String(now)]);
      // Deleted before it was there: by a purge that came upon the pending.
      if (kept === '') await takeFrom([client1, client2], roomHash);
      await redis.write(MARK_DONE, [keys.pending(joinCode)[0]], [roomId]);
    },

    /** Writes a room that comes from elsewhere; resolves to whether Redis knew none of this id. */
    async put(room: Room, usedAt: number): Promise<boolean> {
      const { roomId, client1, client2 } = room;
      const roomHash = hashOf(roomId);
      const [key] = keys.room(roomHash);
      if ((await redis.command(key, ['GET', key])) !== null) return false;
      const give = (deviceId: string) =>
        redis.write(GIVE_ROOM, keys.device(deviceId), [entryOf(roomHash), '', '', '0', '0']);
      await Promise.all([give(client1), give(client2)]);
      const value = textOf(room);
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
      return known === null || known === '' ? undefined : roomOf(roomId, known);
    },

    /** Marks a device of the room as proved; resolves to whether the room is there. */
    async prove(roomId: string, device: 1 | 2): Promise<boolean> {
      const [key] = keys.room(hashOf(roomId)) as [string, string];
      return (await redis.write(PROVE_ROOM, [key], [String(device)])) === 1;
    },

    /** Whether the room is there; counts as no use of it. */
    async exists(roomId: string): Promise<boolean> {
      const [key] = keys.room(hashOf(roomId)) as [string, string];
      const known = await redis.command(key, ['GET', key]);
      return known !== null && known !== '';
    },

    async delete(roomId: string, rule: RoomRule): Promise<DeleteOutcome> {
      const roomHash = hashOf(roomId);
      const devices = await drop(roomHash, false, rule);
      if (devices === 'kept') return 'forbidden';
      if (devices) await takeFrom(devices, roomHash);
      return devices == null ? 'absent' : 'deleted';
    },

    /** Deletes the room of a device's entry, or of a pending, and forbids it, where the rule allows it. */
    async purge(
      roomHash: string,
      deviceIds: readonly string[],
      isPromised: boolean,
      rule: RoomRule,
    ): Promise<DeleteOutcome> {
      const devices = await drop(roomHash, true, rule);
      if (devices === 'kept') return 'forbidden';
      await takeFrom(devices ?? deviceIds, roomHash);
      // An accept that was not finished has made its room, as far as anyone can tell.
      const wasThere = devices != null || (devices === undefined && isPromised);
      return wasThere ? 'deleted' : 'absent';
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

/** Who may delete a room, beyond those in which no device has proved itself. */
export interface RoomRule {
  /** Whether those need a secret too. */
  readonly isRequired: boolean;
  allows(room: Room): boolean;
}

/** How a room is kept: see redis-room-scripts.ts. */
type RoomValue = [
  client1: string,
  client2: string,
  hash1?: string,
  hash2?: string,
  proved?: number,
];

const textOf = ({ client1, client2, secret1, secret2 }: Omit<Room, 'roomId'>): string => {
  const proved = (secret1?.isProved ? 1 : 0) + (secret2?.isProved ? 2 : 0);
  const value: RoomValue = [client1, client2, secret1?.hash ?? '', secret2?.hash ?? '', proved];
  return JSON.stringify(value);
};

function roomOf(roomId: string, value: string): Room {
  const [client1, client2, hash1, hash2, proved = 0] = JSON.parse(value) as RoomValue;
  const secret1 = secretOf(hash1, (proved & 1) !== 0);
  return { roomId, client1, client2, secret1, secret2: secretOf(hash2, (proved & 2) !== 0) };
}

export const devicesOf = (value: string): [string, string] => {
  const [client1, client2] = JSON.parse(value) as RoomValue;
  return [client1, client2];
};
