// PairingStore on Redis, for many nodes: each request is one script.
import { createHmac } from 'node:crypto';
import { NO_PROOFS, secretHash } from '../platform/device-secrets.js';
import { Unavailable } from '../platform/http-errors.js';
import type { KeyReused, Repeatable } from '../platform/idempotency.js';
import type { Redis } from '../platform/redis.js';
import * as scripts from './redis-scripts.js';
import { redisWakes, type WakeInbox } from './redis-wakes.js';
import type { StoreLimits } from './sqlite-operations.js';
import type { PairingStore, PurgeOutcome } from './store.js';

const UNLIMITED: StoreLimits = {
  roomIdleMs: 0,
  pendingsPerDevice: Number.MAX_SAFE_INTEGER,
  pendingsPerAddress: Number.MAX_SAFE_INTEGER,
  rooms: Number.MAX_SAFE_INTEGER,
  idempotencyRecords: Number.MAX_SAFE_INTEGER,
};

/** A use is noted at most this often, as in SQLite. */
const USE_GRANULARITY_MS = 24 * 3600 * 1000;

/** Entries of each index that one script sweeps. */
const SWEEP_PORTION = 500;

/** Rooms that one script of a purge deletes, within a hundred: Redis does nothing else meanwhile. */
const PURGE_PORTION = 2000;

export interface RedisStoreOptions {
  /** What all keys begin with. */
  readonly prefix: string;
  readonly limits?: Partial<StoreLimits>;
  /** Wakes held checks of other nodes, and ours. */
  readonly inbox?: WakeInbox;
  /** Under which addresses are hashed; the same for all nodes. */
  readonly addressKey?: () => Promise<string>;
  /** Whether time is the caller's `now`, for tests, and not that of Redis. */
  readonly isTimeGiven?: boolean;
  readonly purgePortion?: number;
}

type Values = Readonly<Record<string, string | number | boolean>>;

/** Runs the scripts of pairing, whose arguments have names. */
export function redisScripts(redis: Redis, prefix: string, isTimeGiven: boolean) {
  const keys = scripts.keysOf(prefix);
  return {
    /** @param isPromise - whether what is written has to reach the replicas before it is answered */
    async run<Name extends string>(
      { script, names }: scripts.Operation<Name>,
      values: { readonly [N in Name]: string | number | boolean },
      now: number,
      {
        once,
        more = [],
        isPromise = true,
        maxRecords = UNLIMITED.idempotencyRecords,
        recordId = once === undefined ? '' : hashOfKey(once.key),
      }: {
        once?: Repeatable | undefined;
        recordId?: string;
        more?: readonly string[];
        isPromise?: boolean;
        maxRecords?: number;
      } = {},
    ): Promise<unknown> {
      const all: Values = {
        givenNow: isTimeGiven ? now : '',
        recordId,
        fingerprint: once?.fingerprint ?? '',
        keptMs: once === undefined ? 0 : once.keptUntil - now,
        maxRecords,
        ...values,
      };
      const args = names.map((name) => argumentOf(all[name] as Values[string]));
      return redis[isPromise ? 'write' : 'run'](script, keys, [...args, ...more]);
    },
  };
}

const argumentOf = (value: string | number | boolean): string =>
  typeof value === 'boolean' ? (value ? '1' : '') : String(value);

const hashOfKey = (key: string) => scripts.hashOf(`key ${key}`);

/** What the scripts take for a secret that a request may have brought. */
const digestOf = (proof: string | undefined): string =>
  proof === undefined ? '' : secretHash(proof);

/** Opens the store; `redis` is its caller's to close. */
export function openRedisStore(redis: Redis, options: RedisStoreOptions): PairingStore {
  const { prefix, inbox, addressKey = async () => prefix, isTimeGiven = false } = options;
  const limits = { ...UNLIMITED, ...options.limits };
  const maxRecords = limits.idempotencyRecords;
  const { run } = redisScripts(redis, prefix, isTimeGiven);
  const listeners: ((joinCode: string) => void)[] = [];
  const wakes = redisWakes(inbox, (joinCode) => {
    for (const listener of listeners) listener(joinCode);
  });
  let sweeping: Promise<unknown> = Promise.resolve();
  const originOf = async (address: string) =>
    createHmac('sha256', await addressKey())
      .update(address)
      .digest('base64url')
      .slice(0, 22);

  /** Runs a script that comes to an outcome, and wakes the checks that it is of interest to. */
  const operate = async <T extends { kind: string }, Name extends string = string>(
    operation: scripts.Operation<Name>,
    values: { readonly [N in Name]: string | number | boolean },
    now: number,
    more: { once?: Repeatable | undefined; more?: readonly string[]; isPromise?: boolean } = {},
  ): Promise<T | KeyReused> => {
    const reply = await run(operation, values, now, { ...more, maxRecords });
    const [text = '', ...changed] = reply as string[];
    for (let n = 0; n < changed.length; n += 2) {
      wakes.wake(changed[n] as string, changed[n + 1] as string);
    }
    const outcome = JSON.parse(text) as T | { kind: 'full'; of: string };
    if (outcome.kind === 'full') {
      throw new Unavailable(new Error(`as many ${(outcome as { of: string }).of} as there may be`));
    }
    return outcome as T;
  };

  return {
    async create({ joinCode, client1, expiresAt, address, secret, proof = '' }, now, once) {
      const hashes = { hash: secretHash(secret), proofHash: digestOf(proof || undefined) };
      const values = {
        joinCode,
        client1,
        secret,
        proof,
        ...hashes,
        origin: await originOf(address),
      };
      const { pendingsPerDevice: perDevice, pendingsPerAddress: perAddress } = limits;
      const lifeMs = expiresAt - now;
      return operate(scripts.CREATE, { ...values, lifeMs, perDevice, perAddress }, now, { once });
    },

    accept({ joinCode, client2, roomId, collectableUntil, secret }, now, once) {
      const values = { joinCode, client2, roomId, room: scripts.hashOf(roomId), secret };
      const rest = { hash: secretHash(secret), collectMs: collectableUntil - now };
      return operate(scripts.ACCEPT, { ...values, ...rest, maxRooms: limits.rooms }, now, { once });
    },

    async check(joinCode, client1, now, once, isFinal = true, proof = undefined) {
      const holder = isFinal ? '' : wakes.nodeId;
      const values = { joinCode, client1, holder, isFinal, proofHash: digestOf(proof) };
      // Without a key, what it tells was promised before; a deletion that is lost only leaves the code taken.
      const isPromise = once !== undefined || proof !== undefined;
      const outcome = await operate<
        | { kind: 'collected'; roomId: string }
        | { kind: 'waiting'; leftMs: number }
        | { kind: 'not_found_or_expired' }
      >(scripts.CHECK, values, now, { once, isPromise });
      // By the clock of the caller, which waits for it.
      if (outcome.kind !== 'waiting') return outcome;
      return { kind: 'waiting', expiresAt: now + outcome.leftMs };
    },

    cancel: (joinCode, client1, now, once, proof) =>
      operate(scripts.CANCEL, { joinCode, client1, proofHash: digestOf(proof) }, now, { once }),

    async findRoom(roomId, now) {
      const noteMs = limits.roomIdleMs > 0 ? USE_GRANULARITY_MS : 0;
      const values = { id: scripts.hashOf(roomId), noteMs };
      const reply = await run(scripts.FIND_ROOM, values, now, { isPromise: false });
      if (reply === null) return undefined;
      const [client1, client2, hash1, hash2, proved1, proved2] = reply as [
        string,
        string,
        ...string[],
      ];
      const secret = (hash: string | undefined, proved: string | undefined) =>
        hash ? { hash, isProved: proved === '1' } : undefined;
      return {
        roomId,
        client1,
        client2,
        secret1: secret(hash1, proved1),
        secret2: secret(hash2, proved2),
      };
    },

    prove: async (roomId, deviceId) =>
      (await run(scripts.PROVE, { id: scripts.hashOf(roomId), deviceId }, 0)) === 1,

    async deleteRoom(roomId, { secrets, isRequired } = NO_PROOFS) {
      const more = secrets.map(secretHash);
      const values = { id: scripts.hashOf(roomId), isRequired };
      return (await run(scripts.DELETE_ROOM, values, 0, { more })) as 'deleted';
    },

    async purge(deviceIds, now, once, { secrets, isRequired } = NO_PROOFS) {
      const more = [...deviceIds, ...secrets.map(secretHash)];
      const maxRows = options.purgePortion ?? PURGE_PORTION;
      let givenProgress = '1 0 0 0 0 0';
      for (;;) {
        const values = { devices: deviceIds.length, isRequired, maxRows, givenProgress };
        const outcome = await operate<PurgeOutcome | { kind: 'purging'; progress: string }>(
          scripts.PURGE,
          values,
          now,
          { once, more },
        );
        if (outcome.kind !== 'purging') return outcome;
        givenProgress = outcome.progress;
      }
    },

    async recall<T>(now: number, once: Repeatable) {
      const known = await run(scripts.RECALL, {}, now, { once, isPromise: false });
      return known === null ? undefined : (JSON.parse(known as string) as T | KeyReused);
    },

    firstTime: (now, once) => operate(scripts.FIRST_TIME, {}, now, { once }),

    sweep(now) {
      const work = async () => {
        const swept = { pendings: 0, rooms: 0 };
        for (;;) {
          const values = { roomIdleMs: limits.roomIdleMs, portion: SWEEP_PORTION };
          const reply = await run(scripts.SWEEP, values, now, { isPromise: false });
          const [pendings, records, idle, rooms] = reply as [number, number, number, number];
          swept.pendings += pendings;
          swept.rooms += rooms;
          if (Math.max(pendings, records, idle) < SWEEP_PORTION) return swept;
        }
      };
      const swept = work();
      sweeping = swept.catch(() => {});
      return swept;
    },

    async counts() {
      const reply = await run(scripts.COUNT, {}, 0, { isPromise: false });
      const [pendings, rooms, idempotencyRecords] = reply as [number, number, number];
      return { pendings, rooms, idempotencyRecords };
    },

    async probe(now) {
      if (!redis.isUp) throw new Unavailable(new Error('a server of Redis is away'));
      await run(scripts.PROBE, {}, now);
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
