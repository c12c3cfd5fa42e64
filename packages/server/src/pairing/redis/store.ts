// Implements PairingStore on Redis, for several nodes. Each request is one script.
import { NO_PROOFS, secretHash } from '../../base/device-secrets.js';
import { Limited, Unavailable } from '../../base/failures.js';
import type { KeyReused, Repeatable } from '../../http/idempotency.js';
import { isFull, type Redis } from '../../redis/client.js';
import type { NodeChannel } from '../../redis/node-channel.js';
import { type RefusalCause, Refused } from '../guesses.js';
import {
  type Guess,
  type PairingStore,
  type PurgeOutcome,
  type StoreLimits,
  UNLIMITED,
  USE_GRANULARITY_MS,
} from '../store.js';
import * as scripts from './scripts.js';

/** Number of entries of each index that one script sweeps. */
const SWEEP_PORTION = 500;

/** Number of rooms that one script of a purge deletes, to within 100. Redis runs nothing else during the script. */
const PURGE_PORTION = 2000;

/** The kind of a message that wakes held checks; its body is a join code. */
const WAKE = 'w';

/** Maximum number of wakes that wait for a retry. A check that misses its wake is answered when its time is up. */
const MAX_WAKES = 10_000;

/** Delays between attempts to send a wake, in milliseconds. Their sum is near 30 s, the longest time a check is held. */
const AGAIN_AFTER_MS = [100, 300, 1000, 2000, 4000, 8000, 12_000];

/** Budgets that all nodes share. */
export interface StoreBudgets {
  /** Creates of an address. */
  readonly createsPerHour: number;
  /** Requests of an address with an Idempotency-Key. */
  readonly keyedPerHour: number;
  /** Maximum of failed guesses per minute, all addresses together. */
  readonly ceiling: number;
}

export interface RedisStoreOptions {
  /** Prefix of all keys. */
  readonly prefix: string;
  readonly limits?: Partial<StoreLimits>;
  /** Sends wakes to the nodes that hold checks; absent if this node is the only one. */
  readonly channel?: Pick<NodeChannel, 'nodeId' | 'on' | 'send'>;
  /** If absent, nothing is counted. */
  readonly budgets?: StoreBudgets;
  /** Returns the digest that stands for an address in keys; must be the same for all nodes. */
  readonly digestOf?: (address: string) => Promise<string>;
  /** For tests: whether the scripts take the time from the caller's `now` and not from Redis. */
  readonly isTimeGiven?: boolean;
  readonly purgePortion?: number;
}

/** A script argument; null and undefined are sent as the empty string. */
type Value = string | number | boolean | null | undefined;
type Values<Name extends string> = Readonly<Record<Name, Value>>;

interface How {
  readonly once?: Repeatable | undefined;
  /** Unnamed arguments, after the named ones. */
  readonly more?: readonly string[];
  /** Whether the writes must reach the replicas before the request is answered; default true. */
  readonly isPromise?: boolean;
  readonly common?: Partial<Values<scripts.CommonArgument>>;
}

/** Returns a function that runs the scripts of pairing with named arguments. */
export function scriptRunner(redis: Redis, prefix: string, isTimeGiven: boolean) {
  const keys = scripts.keysOf(prefix);
  return async <Name extends string>(
    { script, names }: scripts.Operation<Name>,
    values: Values<Name>,
    now: number,
    { once, more = [], isPromise = true, common }: How = {},
  ): Promise<unknown> => {
    const kept = once && {
      recordId: scripts.hashOf(`key ${once.key}`),
      fingerprint: once.fingerprint,
      keptMs: once.keptUntil - now,
    };
    const all = { givenNow: isTimeGiven ? now : '', ...kept, ...common, ...values };
    const args = names.map((name) => argumentOf((all as Values<string>)[name]));
    return redis[isPromise ? 'write' : 'run'](script, keys, [...args, ...more]);
  };
}

const argumentOf = (value: Value): string =>
  typeof value === 'boolean' ? (value ? '1' : '') : String(value ?? '');

/** Digest of the secret in a request, or empty without one. */
const hashOfProof = (proof: string | undefined): string =>
  proof === undefined ? '' : secretHash(proof);

interface Charged extends Omit<How, 'common'> {
  readonly address?: string | undefined;
  readonly guess?: Guess | undefined;
}

/** Returned by the scripts in place of an outcome. */
type Refusal =
  | { kind: 'full'; of: string }
  | { kind: 'limited'; cause: RefusalCause | 'keyed'; seconds: number };

const isRefusal = (outcome: { kind: string }): outcome is Refusal =>
  outcome.kind === 'full' || outcome.kind === 'limited';

function errorOf(refusal: Refusal): Error {
  if (refusal.kind === 'full') {
    return new Unavailable(new Error(`the maximum number of ${refusal.of} is reached`));
  }
  const { cause, seconds } = refusal;
  return cause === 'keyed' ? new Limited(seconds) : new Refused(cause, seconds);
}

/** Opens the store. The caller closes `redis`. */
export function openRedisStore(redis: Redis, options: RedisStoreOptions): PairingStore {
  const { prefix, channel, budgets, digestOf = async (text) => scripts.hashOf(text) } = options;
  const isTimeGiven = options.isTimeGiven ?? false;
  const limits = { ...UNLIMITED, ...options.limits };
  const maxRecords = limits.idempotencyRecords;
  const run = scriptRunner(redis, prefix, isTimeGiven);
  const listeners: ((joinCode: string) => void)[] = [];
  const changed = (joinCode: string) => {
    for (const listener of listeners) listener(joinCode);
  };
  channel?.on(WAKE, changed);
  const timers = new Set<NodeJS.Timeout>();
  const wake = (nodeId: string, joinCode: string, attempt = 0) => {
    channel?.send(nodeId, WAKE, joinCode).catch(() => {
      const delay = AGAIN_AFTER_MS[attempt];
      if (delay === undefined || timers.size >= MAX_WAKES) return;
      const timer = setTimeout(() => {
        timers.delete(timer);
        wake(nodeId, joinCode, attempt + 1);
      }, delay);
      timers.add(timer);
    });
  };
  let sweeping: Promise<unknown> = Promise.resolve();
  /**
   * Runs a request, and wakes the checks whose outcome it may have changed.
   *
   * @param address - the address in whose budgets the request counts
   */
  const operate = async <T extends { kind: string }, Name extends string = string>(
    operation: scripts.Operation<Name>,
    values: Values<Name>,
    now: number,
    { guess, address = guess?.address, ...how }: Charged = {},
  ): Promise<T | KeyReused> => {
    const common =
      budgets === undefined || address === undefined
        ? { maxRecords }
        : { maxRecords, charged: await digestOf(address), ...budgets };
    const reply = await run(operation, values, now, { ...how, common }).catch(async (error) => {
      if (how.once === undefined || !isFull(error)) throw error;
      const known = await run(scripts.REPEAT, {}, now, { once: how.once, isPromise: false });
      if (known === null) throw error;
      return [known];
    });
    const [text = '', hasFailed, ...changes] = reply as string[];
    for (let n = 0; n < changes.length; n += 2) {
      const [joinCode, holders] = changes.slice(n) as [string, string];
      changed(joinCode);
      for (const nodeId of holders.split(' ')) {
        if (nodeId !== '' && nodeId !== channel?.nodeId) wake(nodeId, joinCode);
      }
    }
    if (hasFailed) guess?.failed();
    const outcome = JSON.parse(text) as T | Refusal;
    if (isRefusal(outcome)) throw errorOf(outcome);
    return outcome;
  };

  return {
    async create({ joinCode, client1, expiresAt, address, secret, proof = '' }, now, once, guess) {
      const hashes = { hash: secretHash(secret), proofHash: hashOfProof(proof || undefined) };
      const values = {
        joinCode,
        client1,
        secret,
        proof,
        ...hashes,
        origin: await digestOf(address),
      };
      const { pendingsPerDevice: perDevice, pendingsPerAddress: perAddress } = limits;
      const lifeMs = expiresAt - now;
      return operate(scripts.CREATE, { ...values, lifeMs, perDevice, perAddress }, now, {
        once,
        guess,
      });
    },

    accept({ joinCode, client2, roomId, collectableUntil, secret }, now, once, guess) {
      const values = { joinCode, client2, roomId, room: scripts.hashOf(roomId), secret };
      const rest = { hash: secretHash(secret), collectMs: collectableUntil - now };
      return operate(scripts.ACCEPT, { ...values, ...rest, maxRooms: limits.rooms }, now, {
        once,
        guess,
      });
    },

    async check(
      joinCode,
      client1,
      now,
      once,
      isFinal = true,
      proof = undefined,
      guess = undefined,
    ) {
      const holder = isFinal ? '' : (channel?.nodeId ?? '');
      const values = { joinCode, client1, holder, isFinal, proofHash: hashOfProof(proof) };
      // Without a key or a proof, the result is already durable; a lost deletion only leaves the code taken.
      const isPromise = once !== undefined || proof !== undefined;
      const outcome = await operate<
        | { kind: 'collected'; roomId: string }
        | { kind: 'waiting'; leftMs: number }
        | { kind: 'not_found_or_expired' }
      >(scripts.CHECK, values, now, { once, isPromise, guess });
      // By the clock of the caller, which uses it as a deadline.
      if (outcome.kind !== 'waiting') return outcome;
      return { kind: 'waiting', expiresAt: now + outcome.leftMs };
    },

    cancel: (joinCode, client1, now, once, proof) =>
      operate(scripts.CANCEL, { joinCode, client1, proofHash: hashOfProof(proof) }, now, {
        once,
        address: once?.address,
      }),

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
          { once, address: once?.address, more },
        );
        if (outcome.kind !== 'purging') return outcome;
        givenProgress = outcome.progress;
      }
    },

    firstTime: (now, once) => operate(scripts.FIRST_TIME, {}, now, { once, address: once.address }),

    ...(budgets && {
      failedGuesses: async (now: number) =>
        (await run(scripts.FAILURES, {}, now, { isPromise: false })) as number,
    }),

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
      if (!redis.isUp) throw new Unavailable(new Error('a Redis server is not connected'));
      await run(scripts.PROBE, {}, now);
    },

    onChange(listener) {
      listeners.push(listener);
    },

    async close() {
      for (const timer of timers) clearTimeout(timer);
      timers.clear();
      await sweeping;
    },
  };
}
