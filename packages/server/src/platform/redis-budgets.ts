// Budgets that all nodes share: quotas, penalties and the count of a minute, each one script on one key.
//
// A key holds a keyed hash of what it counts, never an address. The rules are those of memory: quota.ts, penalties.ts.
import { createHmac } from 'node:crypto';
import type { Clock } from './clock.js';
import { type MinuteCount, minuteOf } from './minute-count.js';
import {
  MOST_BEYOND,
  type Penalties,
  type PenaltyPolicy,
  unforgiven,
  waitAfter,
} from './penalties.js';
import { HOUR_MS, type Quota } from './quota.js';
import { defineScript, type Redis } from './redis.js';

export interface SharedBudgetDeps {
  redis: Redis;
  /** What all keys begin with. */
  prefix: string;
  clock: Clock;
  /** Under which addresses are hashed; the same for all nodes. */
  addressKey: () => Promise<string>;
}

/** The name of a budget of an address. */
async function keyOf(name: string, address: string, deps: SharedBudgetDeps): Promise<string> {
  const hash = createHmac('sha256', await deps.addressKey())
    .update(address)
    .digest('base64url');
  return `${deps.prefix}{b${hash.slice(0, 22)}}${name}`;
}

const TAKE = defineScript(
  'take-quota',
  `
-- KEYS 1 the quota: when it will be whole again
-- ARGV 1 now, 2 milliseconds for which one is taken, 3 milliseconds after which a quota is whole
-- Returns how long to wait; 0: taken.
local now, interval, hour = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local from = tonumber(redis.call('GET', KEYS[1]) or '') or now
-- A second for what rounding makes of an hour in many parts: quota.ts.
if from < now or from > now + hour + 1000 then from = now end
local wait = from + interval - hour - now
if wait > 0.5 then return math.max(1, math.ceil(wait / 1000)) end
local whole = from + interval
redis.call('SET', KEYS[1], string.format('%.3f', whole), 'PX', math.max(1, math.ceil(whole - now)))
return 0`,
);

/** @param name - tells it from other quotas of an address: a few letters */
export function redisQuota(name: string, perHour: number, deps: SharedBudgetDeps): Quota {
  const interval = String(HOUR_MS / perHour);
  return {
    async take(address) {
      const key = await keyOf(name, address, deps);
      const args = [String(deps.clock.now()), interval, String(HOUR_MS)];
      return (await deps.redis.run(TAKE, [key], args)) as number;
    },
  };
}

const FAIL = defineScript(
  'fail',
  `
-- KEYS 1 failures of an address, and when it failed last
-- ARGV 1 now, 2 one failure is forgiven in so many seconds, 3 how many are counted at most
local now, forgive, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local known = redis.call('GET', KEYS[1])
local failures, at = string.match(known or '', '^(%d+) (%d+)$')
local left = 0
if failures and tonumber(at) <= now then
  left = math.max(0, tonumber(failures) - math.floor((now - tonumber(at)) / 1000 / forgive))
end
left = math.min(left + 1, most)
redis.call('SET', KEYS[1], left .. ' ' .. ARGV[1], 'PX', math.ceil(left * forgive * 1000))
return left`,
);

export function redisPenalties(
  name: string,
  policy: PenaltyPolicy,
  deps: SharedBudgetDeps,
): Penalties {
  return {
    async waitSeconds(address) {
      const key = await keyOf(name, address, deps);
      const known = (await deps.redis.command(key, ['GET', key])) as string | null;
      if (known === null) return 0;
      const [failures = 0, failedAt = 0] = known.split(' ').map(Number);
      const idleSeconds = (deps.clock.now() - failedAt) / 1000;
      // A clock that was set back would otherwise hold an address for as long as it was set back by.
      if (idleSeconds < 0 || unforgiven(failures, idleSeconds, policy) === 0) return 0;
      return Math.max(0, Math.ceil(waitAfter(failures, policy) - idleSeconds));
    },
    async fail(address) {
      const key = await keyOf(name, address, deps);
      const most = String(policy.free + MOST_BEYOND);
      const args = [String(deps.clock.now()), String(policy.forgiveSeconds), most];
      await deps.redis.run(FAIL, [key], args);
    },
  };
}

const COUNT = defineScript(
  'count-minute',
  `
-- KEYS 1 the count of a minute
local count = redis.call('INCR', KEYS[1])
if count == 1 then redis.call('PEXPIRE', KEYS[1], 120000) end
return count`,
);

/** @param name - tells it from other counts */
export function redisMinuteCount(
  name: string,
  { redis, prefix, clock }: Omit<SharedBudgetDeps, 'addressKey'>,
): MinuteCount {
  const keyNow = () => `${prefix}{f${name}${minuteOf(clock.now())}}`;
  return {
    add: async () => (await redis.run(COUNT, [keyNow()], [])) as number,
    async read() {
      const key = keyNow();
      return Number((await redis.command(key, ['GET', key])) ?? 0);
    },
  };
}

const SHARE_SECRET = defineScript(
  'share-secret',
  `
-- KEYS 1 the secret
-- ARGV 1 what it is to be where there is none, 2 for how long, in milliseconds
if not redis.call('GET', KEYS[1]) then redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]) end
return { redis.call('GET', KEYS[1]), redis.call('PTTL', KEYS[1]) }`,
);

/** What an address was hashed as tells nothing after a day. */
const SECRET_LIFE_MS = 24 * 3600 * 1000;

/**
 * A secret that all nodes have in common, through Redis. Asked for again when it ends, and whenever Redis is back: it
 * may have lost it.
 */
export function sharedSecret(
  redis: Redis,
  prefix: string,
  fresh: () => string,
): () => Promise<string> {
  const key = `${prefix}{k}secret`;
  let known: { secret: Promise<string>; until: number } | undefined;
  redis.onUp(() => {
    known = undefined;
  });
  const ask = () => {
    const reply = redis.run(SHARE_SECRET, [key], [fresh(), String(SECRET_LIFE_MS)]);
    const asked = {
      until: Number.POSITIVE_INFINITY,
      secret: reply.then((told) => {
        const [secret, leftMs] = told as [string, number];
        asked.until = performance.now() + leftMs;
        return secret;
      }),
    };
    asked.secret.catch(() => {
      if (known === asked) known = undefined;
    });
    return asked;
  };
  return () => {
    if (known === undefined || performance.now() > known.until) known = ask();
    return known.secret;
  };
}
