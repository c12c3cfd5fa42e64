// Implements PairingStore on Redis, for several nodes. Each request is one script, and therefore one transaction of its
// idempotency record, its budgets and its effect.
import { setTimeout as delay } from 'node:timers/promises';
import { NO_PROOFS, secretHash } from '../../base/device-secrets.js';
import { Limited, Unavailable } from '../../base/failures.js';
import type { KeyReused, Repeatable } from '../../http/idempotency.js';
import { isFull, type Redis } from '../../redis/client.js';
import type { NodeChannel } from '../../redis/node-channel.js';
import { GUESSES, type GuessLimits, type GuessRequest } from '../guesses.js';
import {
  type Guess,
  type PairingStore,
  type PurgeOutcome,
  type StoreLimits,
  UNLIMITED,
  USE_GRANULARITY_MS,
} from '../store.js';
import { hashOf, type ScriptName, scriptRunner } from './scripts.js';

/** Number of entries of each index that one script sweeps. */
const SWEEP_PORTION = 500;

/** Number of devices and rooms that one script of a purge reads. Redis runs nothing else during the script. */
const PURGE_PORTION = 2000;

/** The kind of a message that wakes held checks; its body is a join code. */
const WAKE = 'w';

/** Time until a failed wake is sent again, in milliseconds: connections are usually back. */
const WAKE_AGAIN_MS = 1000;

export interface RedisStoreOptions {
  /** Prefix of all keys. */
  readonly prefix: string;
  readonly limits?: Partial<StoreLimits>;
  /** Sends wakes to the nodes that hold checks; absent if this node is the only one. */
  readonly channel?: Pick<NodeChannel, 'nodeId' | 'on' | 'send'>;
  /** Limits that all nodes share. If absent, nothing is counted. */
  readonly budgets?: GuessLimits;
  /** Returns the digest that stands for an address in keys; must be the same for all nodes. */
  readonly digestOf?: (address: string) => Promise<string>;
  /** For tests: whether the scripts take the time from the caller's `now` and not from Redis. */
  readonly isTimeGiven?: boolean;
  readonly purgePortion?: number;
}

const deletionBy = ({ secrets, isRequired } = NO_PROOFS) => {
  const hashes = Object.fromEntries(secrets.map((secret) => [secretHash(secret), true] as const));
  return { hashes, isRequired };
};

/** Opens the store. The caller closes `redis`. */
export function openRedisStore(redis: Redis, options: RedisStoreOptions): PairingStore {
  const { prefix, channel, budgets, digestOf = async (text) => hashOf(text) } = options;
  const limits = { ...UNLIMITED, ...options.limits };
  const run = scriptRunner(redis, prefix, options.isTimeGiven);
  const listeners: ((joinCode: string) => void)[] = [];
  const changed = (joinCode: string) => {
    for (const listener of listeners) listener(joinCode);
  };
  channel?.on(WAKE, changed);
  let sweeping: Promise<unknown> = Promise.resolve();
  const sweepAll = async (now: number) => {
    const args = { roomIdleMs: limits.roomIdleMs, portion: SWEEP_PORTION };
    const swept = { pendings: 0, rooms: 0 };
    for (;;) {
      const reply = (await run('sweep', args, now, false)) as [number, number, number];
      swept.pendings += reply[0];
      swept.rooms += reply[2];
      if (Math.max(...reply) < SWEEP_PORTION) return swept;
    }
  };

  /** Runs a request, and wakes the checks whose outcome it may have changed. */
  const operate = async <Outcome>(
    name: ScriptName,
    args: object,
    now: number,
    once: Repeatable | undefined,
    guess?: Guess,
    isPromise = true,
  ): Promise<Outcome | KeyReused> => {
    // A later read of a held check is no guess, and was charged before.
    const { address } = (name in GUESSES ? guess : once) ?? {};
    const isCharged = budgets !== undefined && address !== undefined;
    const common = {
      once: once && {
        id: hashOf(`key ${once.key}`),
        fingerprint: once.fingerprint,
        keptMs: once.keptUntil - now,
        maxRecords: limits.idempotencyRecords,
      },
      budget: isCharged ? { origin: await digestOf(address), ...budgets } : undefined,
      guess: isCharged && guess ? GUESSES[name as GuessRequest] : undefined,
    };
    const all = Object.assign({}, args, common);
    const reply = await run(name, all, now, isPromise).catch(async (error) => {
      const known = once && isFull(error) ? await run('recall', common, now, false) : [];
      if ((known as []).length === 0) throw error;
      return known;
    });
    const [text = '', hasFailed, ...changes] = reply as string[];
    for (let n = 0; n < changes.length; n += 2) {
      const [joinCode, holders] = changes.slice(n) as [string, string];
      changed(joinCode);
      for (const nodeId of holders.split(' ')) {
        if (nodeId === '' || nodeId === channel?.nodeId) continue;
        const wake = () => channel?.send(nodeId, WAKE, joinCode);
        // Sent again once, because the connection of this node alone may be lost. A check that misses both ends when its
        // time is up.
        wake()
          ?.catch(() => delay(WAKE_AGAIN_MS, undefined, { ref: false }).then(wake))
          .catch(() => {});
      }
    }
    if (hasFailed) guess?.failed();
    const outcome = JSON.parse(text);
    // `of`: the rows whose maximum number is reached.
    const { kind, of, cause, seconds } = outcome;
    if (kind === 'full') throw new Unavailable(new Error(`the maximum number of ${of} is reached`));
    if (kind !== 'limited') return outcome;
    throw new Limited(seconds, cause === 'keyed' ? undefined : cause);
  };

  /** Pendings, rooms, records, and failed guesses of this minute. */
  const counts = async (now: number) =>
    (await run('counts', {}, now, false)) as [number, number, number, number];

  return {
    async create({ address, expiresAt, ...pending }, now, once, guess) {
      const { secret, proof } = pending;
      const hashes = { hash: secretHash(secret), proofHash: proof && secretHash(proof) };
      const origin = await digestOf(address);
      const args = { origin, lifeMs: expiresAt - now, limits, ...hashes, ...pending };
      return operate('create', args, now, once, guess);
    },

    accept({ collectableUntil, ...acceptance }, now, once, guess) {
      const room = hashOf(acceptance.roomId);
      const hash = secretHash(acceptance.secret);
      const args = { room, hash, collectMs: collectableUntil - now, limits, ...acceptance };
      return operate('accept', args, now, once, guess);
    },

    check(joinCode, client1, now, once, isFinal = true, proof = undefined, guess = undefined) {
      const holder = isFinal ? undefined : channel?.nodeId;
      const proofHash = proof && secretHash(proof);
      const args = { joinCode, client1, holder, isFinal, proofHash, nowOfCaller: now };
      // Without a key or a proof, the result is already durable; a lost deletion only leaves the code taken.
      const isPromise = once !== undefined || proof !== undefined;
      return operate('check', args, now, once, guess, isPromise);
    },

    cancel(joinCode, client1, now, once, proof) {
      const args = { joinCode, client1, proofHash: proof && secretHash(proof) };
      return operate('cancel', args, now, once);
    },

    async findRoom(roomId, now) {
      const noteMs = limits.roomIdleMs > 0 ? USE_GRANULARITY_MS : 0;
      const text = await run('find-room', { id: hashOf(roomId), noteMs }, now, false);
      return text === null ? undefined : { roomId, ...JSON.parse(text as string) };
    },

    prove: async (roomId, deviceId) => (await run('prove', { id: hashOf(roomId), deviceId })) === 1,

    deleteRoom: async (roomId, proofs) =>
      (await run('delete-room', { id: hashOf(roomId), ...deletionBy(proofs) })) as 'deleted',

    async purge(deviceIds, now, once, proofs) {
      const maxRows = options.purgePortion ?? PURGE_PORTION;
      const args = { ...deletionBy(proofs), deviceIds: [...new Set(deviceIds)], maxRows };
      for (let progress: unknown; ; ) {
        const outcome: PurgeOutcome | KeyReused | { kind: 'purging'; progress: unknown } =
          await operate('purge', { ...args, progress }, now, once);
        if (outcome.kind !== 'purging') return outcome;
        progress = outcome.progress;
      }
    },

    firstTime: (now, once) => operate('first-time', {}, now, once),

    setPushTarget: (roomId, deviceId, target, now, once) =>
      operate('set-push-target', { id: hashOf(roomId), deviceId, ...target }, now, once),

    // If a failover loses a claim, the device may get one more notification.
    async claimPush(roomId, deviceId, everyMs, now) {
      const args = { id: hashOf(roomId), deviceId, everyMs };
      return JSON.parse((await run('claim-push', args, now, false)) as string);
    },

    async forgetPushTarget(roomId, deviceId, target) {
      await run('forget-push-target', { id: hashOf(roomId), deviceId, ...target }, 0, false);
    },

    ...(budgets && { failedGuesses: async (now: number) => (await counts(now))[3] }),

    sweep(now) {
      const swept = sweepAll(now);
      sweeping = swept.catch(() => {});
      return swept;
    },

    async counts() {
      const [pendings, rooms, idempotencyRecords] = await counts(0);
      return { pendings, rooms, idempotencyRecords };
    },

    probe: async (now) => void (await run('probe', {}, now)),

    onChange: (listener) => void listeners.push(listener),

    async close() {
      await sweeping;
    },
  };
}
