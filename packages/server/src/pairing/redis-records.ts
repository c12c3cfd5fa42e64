// Idempotency records in Redis, shared by all nodes: a claim with what the request intends, then its effect, then its outcome.
//
// Whoever comes upon a claim without an outcome does not know whether the first request still runs or its node has
// died. It runs the same intention again, as the same request: effects know who caused them, so it is one effect.
import { Unavailable } from '../platform/http-errors.js';
import type { KeyReused, Repeatable } from '../platform/idempotency.js';
import { defineScript, type Redis } from '../platform/redis.js';
import { hashOf, type StoreKeys } from './redis-keys.js';

// Fields of a record: f what tells the request from others with its key; n its intention; o its outcome; x when it ends.

const CLAIM = defineScript(
  'claim-record',
  `
-- KEYS 1 the record, 2 the index of its bucket
-- ARGV 1 what tells the request from others, 2 its intention, 3 kept until, 4 now, 5 hash of the key
local r = redis.call('HMGET', KEYS[1], 'f', 'n', 'o', 'x')
if r[1] and tonumber(r[4]) > tonumber(ARGV[4]) then
  if r[1] ~= ARGV[1] then return { 'reused' } end
  if r[3] then return { 'done', r[3] } end
  return { 'resumed', r[2] or '' }
end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'f', ARGV[1], 'n', ARGV[2], 'x', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[5])
return { 'claimed', ARGV[2] }`,
);

const SETTLE = defineScript(
  'settle-record',
  `
-- KEYS 1 the record, 2 the index of its bucket
-- ARGV 1 what tells the request from others, 2 its outcome, 3 kept until, 4 now, 5 hash of the key
-- Of several outcomes, the first is the one.
local r = redis.call('HMGET', KEYS[1], 'f', 'o', 'x')
local isLive = r[1] and tonumber(r[3]) > tonumber(ARGV[4])
if isLive and r[1] ~= ARGV[1] then return { 'reused' } end
if isLive and r[2] then return { 'done', r[2] } end
if not isLive then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[1], 'f', ARGV[1], 'x', ARGV[3])
  redis.call('PEXPIREAT', KEYS[1], ARGV[3])
  redis.call('ZADD', KEYS[2], ARGV[3], ARGV[5])
end
redis.call('HSET', KEYS[1], 'o', ARGV[2])
redis.call('HDEL', KEYS[1], 'n')
return { 'done', ARGV[2] }`,
);

/** What a request is run as: by itself, for the first time, or again. */
export interface Claim<Intention> {
  readonly intention: Intention;
  /** Names the request in what it causes; empty where it has no key. */
  readonly cause: string;
  /** Whether it may have run before. */
  readonly isResumed: boolean;
}

export interface Records {
  recall<T>(once: Repeatable, now: number): Promise<T | KeyReused | undefined>;
  /** @throws Unavailable if there are as many records as there may be */
  refuseIfFull(): void;
  /** Runs an effect once, whatever comes between: with the intention of the first request that had the key. */
  run<T, Intention>(
    once: Repeatable | undefined,
    now: number,
    intention: Intention,
    effect: (claim: Claim<Intention>) => Promise<T>,
  ): Promise<T | KeyReused>;
  /** Keeps an outcome; resolves to the one that is kept, which may be an earlier one. */
  settle<T>(once: Repeatable, now: number, outcome: T): Promise<T | KeyReused>;
}

/** How many records there are, as far as this node knows. */
export interface RecordCount {
  /** Whether there are as many as there may be. */
  isFull(): boolean;
  added(): void;
}

export function redisRecords(redis: Redis, keys: StoreKeys, count: RecordCount): Records {
  const nameOf = (once: Repeatable) => hashOf(`key ${once.key}`);

  const refuseIfFull = () => {
    if (count.isFull()) throw new Unavailable(new Error('no room for another idempotency record'));
  };

  const settle = async <T>(once: Repeatable, now: number, outcome: T): Promise<T | KeyReused> => {
    const name = nameOf(once);
    const { fingerprint, keptUntil } = once;
    const args = [fingerprint, JSON.stringify(outcome), String(keptUntil), String(now), name];
    const reply = (await redis.write(SETTLE, keys.record(name), args)) as [string, string];
    return reply[0] === 'reused' ? { kind: 'key_reused' } : JSON.parse(reply[1]);
  };

  const recall: Records['recall'] = async (once, now) => {
    const [key] = keys.record(nameOf(once));
    const reply = await redis.command(key, ['HMGET', key, 'f', 'o', 'x']);
    const [fingerprint, outcome, until] = reply as (string | null)[];
    if (fingerprint == null || Number(until) <= now) return undefined;
    if (fingerprint !== once.fingerprint) return { kind: 'key_reused' };
    return outcome == null ? undefined : JSON.parse(outcome);
  };

  return {
    recall,
    settle,
    refuseIfFull,
    async run(once, now, intention, effect) {
      if (once === undefined) return effect({ intention, cause: '', isResumed: false });
      if (count.isFull()) {
        const known = await recall<Awaited<ReturnType<typeof effect>>>(once, now);
        if (known !== undefined) return known;
        refuseIfFull();
      }
      const name = nameOf(once);
      const words = [once.fingerprint, JSON.stringify(intention), String(once.keptUntil)];
      const args = [...words, String(now), name];
      const reply = (await redis.write(CLAIM, keys.record(name), args)) as [string, string];
      const [kind, text] = reply;
      if (kind === 'reused') return { kind: 'key_reused' };
      if (kind === 'done') return JSON.parse(text);
      if (kind === 'claimed') count.added();
      const claim = { intention: JSON.parse(text), cause: name, isResumed: kind === 'resumed' };
      return settle(once, now, await effect(claim));
    },
  };
}
