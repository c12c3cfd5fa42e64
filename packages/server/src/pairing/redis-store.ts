// PairingStore on Redis, for many nodes: every step touches one slot, and whoever comes next finishes what a node left undone.
import { createHmac } from 'node:crypto';
import { MAX_EXPIRY_SECONDS } from '@couplet/protocol';
import { mayDelete, NO_PROOFS, newDeviceSecret, secretHash } from '../platform/device-secrets.js';
import { Unavailable } from '../platform/http-errors.js';
import type { Redis } from '../platform/redis.js';
import { storeKeys } from './redis-keys.js';
import {
  ACCEPT_PENDING,
  CANCEL_PENDING,
  CHECK_PENDING,
  COLLECT_PENDING,
  CREATE_PENDING,
} from './redis-pending-scripts.js';
import { redisPurge } from './redis-purge.js';
import { type Claim, redisRecords } from './redis-records.js';
import { RELEASE, RESERVE } from './redis-room-scripts.js';
import { acceptedOf, redisRooms } from './redis-rooms.js';
import { redisSweep } from './redis-sweep.js';
import { redisWakes, type WakeInbox } from './redis-wakes.js';
import type { StoreLimits } from './sqlite-operations.js';
import type {
  Acceptance,
  AcceptOutcome,
  CancelOutcome,
  CheckOutcome,
  CreateOutcome,
  NewPending,
  PairingStore,
} from './store.js';

const UNLIMITED: StoreLimits = {
  roomIdleMs: 0,
  pendingsPerDevice: Number.MAX_SAFE_INTEGER,
  pendingsPerAddress: Number.MAX_SAFE_INTEGER,
  rooms: Number.MAX_SAFE_INTEGER,
  idempotencyRecords: Number.MAX_SAFE_INTEGER,
};

/** No pending lives longer than this. */
const LONGEST_LIFE_MS = MAX_EXPIRY_SECONDS * 1000;

export interface RedisStoreOptions {
  /** What all keys begin with. */
  readonly prefix: string;
  readonly limits?: Partial<StoreLimits>;
  /** Wakes held checks of other nodes, and ours. */
  readonly inbox?: WakeInbox;
  /** Under which addresses are hashed; the same for all nodes. */
  readonly addressKey?: () => Promise<string>;
}

/** What the scripts take for a secret that a request may have brought. */
const digestOf = (proof: string | undefined): string =>
  proof === undefined ? '' : secretHash(proof);

/** Opens the store; `redis` is its caller's to close. */
export function openRedisStore(redis: Redis, options: RedisStoreOptions): PairingStore {
  const { prefix, inbox, addressKey = async () => prefix } = options;
  const limits = { ...UNLIMITED, ...options.limits };
  const keys = storeKeys(prefix);
  const listeners: ((joinCode: string) => void)[] = [];
  const wakes = redisWakes(inbox, (joinCode) => {
    for (const listener of listeners) listener(joinCode);
  });
  /** As of the last sweep, and what was added here since: exact enough for limits in the millions. */
  const known = { rooms: 0, idempotencyRecords: 0 };
  let sweeping: Promise<unknown> = Promise.resolve();
  const records = redisRecords(redis, keys, {
    isFull: () => known.idempotencyRecords >= limits.idempotencyRecords,
    added() {
      known.idempotencyRecords += 1;
    },
  });
  const rooms = redisRooms(redis, keys, limits.roomIdleMs);
  const { sweep, counts } = redisSweep(redis, keys, rooms, limits.roomIdleMs);
  const purge = redisPurge({
    redis,
    keys,
    rooms,
    deleted: ({ joinCode, holders }) => wakes.wake(joinCode, holders),
  });
  const originOf = async (address: string) =>
    createHmac('sha256', await addressKey())
      .update(address)
      .digest('base64url')
      .slice(0, 22);

  const create = async (
    { joinCode, client1, address, proof }: NewPending,
    { intention, cause }: Claim<{ expiresAt: number; secret?: string }>,
    now: number,
  ): Promise<CreateOutcome> => {
    const { expiresAt, secret = newDeviceSecret() } = intention;
    const origin = await originOf(address);
    const places = [
      { key: keys.device(client1)[0], entry: `p${joinCode}`, limit: limits.pendingsPerDevice },
      { key: keys.address(origin)[0], entry: joinCode, limit: limits.pendingsPerAddress },
    ];
    // Before the pending is there: a purge finds by these entries what is to be forgotten.
    const taken = await Promise.all(
      places.map(({ key, entry, limit }) =>
        redis.write(RESERVE, [key], [entry, String(expiresAt), String(now), String(limit)]),
      ),
    );
    const giveBack = () =>
      Promise.allSettled(
        places.map(({ key, entry }, n) =>
          taken[n] === 1 ? redis.run(RELEASE, [key], [entry, String(expiresAt)]) : undefined,
        ),
      );
    if (taken.includes(-1)) {
      await giveBack();
      return { kind: 'too_many' };
    }
    const times = [String(expiresAt), String(now)];
    const digests = [secretHash(secret), digestOf(proof)];
    const args = [joinCode, client1, ...times, origin, cause, ...digests];
    const reply = (await redis.write(CREATE_PENDING, keys.pending(joinCode), args)) as string[];
    if (reply[0] === 'created' || reply[0] === 'renewed') {
      wakes.wake(joinCode, acceptedOf(joinCode, reply).holders);
      return {
        kind: 'created',
        expiresAt,
        secret: reply[0] === 'renewed' && proof ? proof : secret,
      };
    }
    if (reply[0] === 'accepted') await rooms.finish(acceptedOf(joinCode, reply), now);
    await giveBack();
    return { kind: 'conflict' };
  };

  const accept = async (
    { joinCode, client2 }: Acceptance,
    claim: Claim<{ roomId: string; collectableUntil: number; secret?: string }>,
    now: number,
  ): Promise<AcceptOutcome> => {
    const { intention, cause, isResumed } = claim;
    if (known.rooms >= limits.rooms) throw new Unavailable(new Error('no room for another room'));
    const { roomId, collectableUntil, secret = newDeviceSecret() } = intention;
    // Before the commit, for as long as any code lives: whatever happens then, a purge of this device finds the pending.
    const [, accepted] = keys.device(client2) as [string, string];
    const noted = [joinCode, String(collectableUntil + LONGEST_LIFE_MS)];
    const noLimit = String(UNLIMITED.pendingsPerDevice);
    const isNew = await redis.write(RESERVE, [accepted], [...noted, String(now), noLimit]);
    const times = [String(collectableUntil), String(now)];
    const args = [joinCode, client2, roomId, ...times, cause, secretHash(secret)];
    const reply = (await redis.write(ACCEPT_PENDING, keys.pending(joinCode), args)) as string[];
    const [kind] = reply;
    const pending = acceptedOf(joinCode, reply);
    if (kind !== 'accepted' && isNew === 1) await redis.run(RELEASE, [accepted], noted);
    if (pending.client2 !== '') await rooms.finish(pending, now);
    if (kind === 'accepted') {
      if (!pending.isDone) known.rooms += 1;
      wakes.wake(joinCode, pending.holders);
      return { kind: 'accepted', roomId: pending.roomId, secret };
    }
    // Accepted by this same request, and collected since: the room is the proof.
    if (isResumed && (await rooms.find(roomId, now))?.client2 === client2) {
      return { kind: 'accepted', roomId, secret };
    }
    if (kind === 'own') return { kind: 'own_code' };
    return { kind: kind === 'conflict' ? 'conflict' : 'not_found_or_expired' };
  };

  /** What a check comes to; where it is to be kept, before anything is deleted. */
  const check = async (
    joinCode: string,
    client1: string,
    now: number,
    isFinal: boolean,
    keep: ((outcome: CheckOutcome) => Promise<unknown>) | undefined,
    proof: string | undefined,
  ): Promise<CheckOutcome> => {
    const holder = isFinal ? '' : wakes.nodeId;
    // What is to be written elsewhere is written before the pending goes.
    const atOnce = keep === undefined && proof === undefined ? '1' : '0';
    const args = [joinCode, client1, String(now), holder, atOnce, digestOf(proof)];
    // What it tells of was promised before; and a deletion that is lost only leaves the code taken.
    const reply = (await redis.run(CHECK_PENDING, keys.pending(joinCode), args)) as string[];
    if (reply[0] === 'missing') return { kind: 'not_found_or_expired' };
    if (reply[0] === 'waiting') return { kind: 'waiting', expiresAt: Number(reply[1]) };
    const pending = acceptedOf(joinCode, reply);
    const { roomId, secret1 } = pending;
    // What is proved on the pending after its accept is to be proved on the room.
    const isThere = () =>
      proof !== undefined && secret1 ? rooms.prove(roomId, 1) : rooms.exists(roomId);
    let outcome: CheckOutcome = { kind: 'collected', roomId };
    if (reply[0] === 'accepted') {
      await rooms.finish(pending, now);
      if (!(await isThere())) outcome = { kind: 'not_found_or_expired' };
      await keep?.(outcome);
      const collected = await redis.write(COLLECT_PENDING, keys.pending(joinCode), [
        joinCode,
        roomId,
      ]);
      // Somebody else has it, unless its own answer is kept: then nobody is to be left without one.
      if (collected === 0) return keep === undefined ? { kind: 'not_found_or_expired' } : outcome;
    } else if (!(await rooms.exists(roomId).catch(() => true))) {
      // Where Redis fails only now, the answer is the room: its pending is gone, and no later check could have it.
      outcome = { kind: 'not_found_or_expired' };
    }
    await rooms.release(pending);
    return outcome;
  };

  const cancel = async (
    joinCode: string,
    client1: string,
    proof: string | undefined,
  ): Promise<CancelOutcome> => {
    const args = [joinCode, client1, digestOf(proof)];
    const reply = (await redis.write(CANCEL_PENDING, keys.pending(joinCode), args)) as string[];
    if (reply[0] === 'cancelled') {
      const pending = acceptedOf(joinCode, reply);
      wakes.wake(joinCode, pending.holders);
      await rooms.release(pending);
    }
    return { kind: 'cancelled' };
  };

  return {
    create: (pending, now, once) =>
      records.run(
        once,
        now,
        { expiresAt: pending.expiresAt, secret: pending.secret },
        (claim: Claim<{ expiresAt: number; secret?: string }>) => create(pending, claim, now),
      ),

    accept(acceptance, now, once) {
      const { roomId, collectableUntil, secret } = acceptance;
      return records.run(once, now, { roomId, collectableUntil, secret }, (claim) =>
        accept(acceptance, claim, now),
      );
    },

    async check(joinCode, client1, now, once, final = true, proof = undefined) {
      if (once === undefined) return check(joinCode, client1, now, final, undefined, proof);
      const first = await records.recall<CheckOutcome>(once, now);
      if (first !== undefined) return first;
      records.refuseIfFull();
      const keep = (collected: CheckOutcome) => records.settle(once, now, collected);
      const outcome = await check(joinCode, client1, now, final, keep, proof);
      const isKept = final || outcome.kind !== 'waiting';
      return isKept ? records.settle(once, now, outcome) : outcome;
    },

    cancel: (joinCode, client1, now, once, proof) =>
      records.run(once, now, null, () => cancel(joinCode, client1, proof)),

    findRoom: (roomId, now) => rooms.find(roomId, now),
    async prove(roomId, deviceId) {
      const room = await rooms.find(roomId, 0);
      if (room === undefined) return false;
      return rooms.prove(roomId, room.client1 === deviceId ? 1 : 2);
    },
    async deleteRoom(roomId, proofs = NO_PROOFS) {
      const outcome = await rooms.delete(roomId, {
        // Every secret that is sent is compared.
        isRequired: proofs.isRequired || proofs.secrets.length > 0,
        allows: (room) => mayDelete(room, proofs),
      });
      if (outcome === 'deleted') known.rooms -= 1;
      return outcome;
    },
    purge: (deviceIds, now, once, proofs = NO_PROOFS) =>
      records.run(once, now, null, () => purge(deviceIds, proofs)),
    recall: (now, once) => records.recall(once, now),
    firstTime: (now, once) =>
      records.run(once, now, { at: now }, async ({ intention: { at } }) => ({
        kind: 'first' as const,
        at,
      })),

    async sweep(now) {
      const work = sweep(now).then(async (swept) => {
        const before = { ...known };
        const counted = await counts();
        // What came meanwhile may have been counted, or not.
        for (const name of ['rooms', 'idempotencyRecords'] as const) {
          known[name] = counted[name] + Math.max(0, known[name] - before[name]);
        }
        return swept;
      });
      sweeping = work.catch(() => {});
      return work;
    },
    counts,
    async probe(now) {
      if (!redis.isUp) throw new Unavailable(new Error('a server of Redis is away'));
      await rooms.probe(now);
    },
    onChange(listener) {
      listeners.push(listener);
    },
    async close() {
      wakes.close();
      await sweeping;
    },
  };
}
