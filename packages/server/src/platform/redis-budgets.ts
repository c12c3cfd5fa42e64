// Budgets that all nodes share: quotas, penalties and the count of a minute, each one script on one key.
//
// A key holds a keyed hash of what it counts, never an address. The rules are those of memory: quota.ts, penalties.ts.
// All scripts run although Redis is full: checks and purges go on then, and none may go uncounted.
import { createHmac } from 'node:crypto';
import { type Clock, MAX_SKEW_MS } from './clock.js';
import { type MinuteCount, minuteOf } from './minute-count.js';
import { BUSY, MOST_BEYOND, type Penalties, type PenaltyPolicy } from './penalties.js';
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
-- ARGV 1 now, 2 milliseconds for which one is taken, 3 milliseconds after which a quota is whole, 4 the skew of clocks
-- Returns how long to wait; 0: taken.
local now, interval, hour = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local from = tonumber(redis.call('GET', KEYS[1]) or '') or now
if from < now or from > now + hour + tonumber(ARGV[4]) then from = now end
local wait = from + interval - hour - now
if wait > 0.5 then return math.max(1, math.ceil(wait / 1000)) end
local whole = from + interval
redis.call('SET', KEYS[1], string.format('%.3f', whole), 'PX', math.max(1, math.ceil(whole - now)))
return 0`,
  ['allow-oom'],
);

const GIVE_BACK = defineScript(
  'give-back-quota',
  `
-- KEYS 1 the quota: when it will be whole again
-- ARGV 1 milliseconds for which one was taken
local whole, interval = tonumber(redis.call('GET', KEYS[1]) or ''), tonumber(ARGV[1])
local left = redis.call('PTTL', KEYS[1]) - interval
if whole and left >= 1 then
  redis.call('SET', KEYS[1], string.format('%.3f', whole - interval), 'PX', math.ceil(left))
else
  redis.call('DEL', KEYS[1])
end
return 0`,
  ['allow-oom'],
);

/** @param name - tells it from other quotas of an address: a few letters */
export function redisQuota(name: string, perHour: number, deps: SharedBudgetDeps): Quota {
  const interval = String(HOUR_MS / perHour);
  return {
    async take(address) {
      const key = await keyOf(name, address, deps);
      const args = [String(deps.clock.now()), interval, String(HOUR_MS), String(MAX_SKEW_MS)];
      return (await deps.redis.run(TAKE, [key], args)) as number;
    },
    async giveBack(address) {
      await keyOf(name, address, deps)
        .then((key) => deps.redis.run(GIVE_BACK, [key], [interval]))
        // Redis is away: what was taken comes back with time.
        .catch(() => {});
    },
  };
}

/** A reservation that is older was made by a node that crashed; it has become a failure, and is forgiven as one. */
const RESERVATION_LIFE_MS = 60_000;

/** Reads the state of an address into local variables, and has the rules of penalties.ts as functions on them. */
const STATE = `
-- KEYS 1 the address: failures, the time of the last one, and the times of reservations whose outcome is not known
-- ARGV 1 now, 2 seconds for which one failure is forgiven, 3 failures that are counted at most, 4 life of a
--      reservation, 5 the skew of clocks, both in milliseconds
local now, forgive, most = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local life, skew = tonumber(ARGV[4]), tonumber(ARGV[5])
local failures, failedAt, open = 0, now, {}

local function left(time)
  return math.max(0, failures - math.floor(math.max(0, time - failedAt) / 1000 / forgive))
end

local function fail(time)
  failures = math.min(left(time) + 1, most)
  failedAt = math.max(failedAt, time)
end

local words = string.gmatch(redis.call('GET', KEYS[1]) or '', '%S+')
local known, knownAt = tonumber(words() or ''), tonumber(words() or '')
if known and knownAt <= now + skew then failures, failedAt = known, knownAt end
for word in words do
  local at = tonumber(word)
  if at <= now - life then fail(at)
  elseif at <= now + skew then open[#open + 1] = at end
end

local function save()
  local state = { failures, failedAt }
  for n, at in ipairs(open) do state[n + 2] = at end
  for n, number in ipairs(state) do state[n] = string.format('%.0f', number) end
  local keep = (left(now) + #open) * forgive * 1000
  if #open > 0 then keep = keep + life + skew end
  if keep == 0 then redis.call('DEL', KEYS[1])
  else redis.call('SET', KEYS[1], table.concat(state, ' '), 'PX', keep) end
end
`;

const RESERVE = defineScript(
  'reserve-attempt',
  `${STATE}
-- ARGV 6 free failures, 7 the first wait, 8 the longest wait, in seconds
-- Returns the wait in seconds, failures that are not forgiven, and other reservations; without a wait, it is reserved.
local free, first, longest = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local function wait(count, since)
  if count <= free then return 0 end
  local seconds = math.min(first * 2 ^ math.min(count - free - 1, 30), longest)
  return math.max(0, math.ceil(seconds - math.max(0, now - since) / 1000))
end
local unforgiven, others = left(now), #open
if unforgiven > 0 then
  local seconds = wait(failures, failedAt)
  if seconds > 0 then return { seconds, unforgiven, 0 } end
end
if others > 0 and wait(unforgiven + others, open[others]) > 0 then return { 1, unforgiven, others } end
open[others + 1] = now
save()
return { 0, unforgiven, others }`,
  ['allow-oom'],
);

const SETTLE = defineScript(
  'settle-attempt',
  `${STATE}
-- ARGV 6 the time of the reservation, 7 '1' if the attempt failed
-- One that is not found is a failure already.
for n, at in ipairs(open) do
  if at == tonumber(ARGV[6]) then
    table.remove(open, n)
    if ARGV[7] == '1' then fail(now) end
    save()
    break
  end
end`,
  ['allow-oom'],
);

export function redisPenalties(
  name: string,
  policy: PenaltyPolicy,
  deps: SharedBudgetDeps,
): Penalties {
  const { free, firstWaitSeconds, maxWaitSeconds, forgiveSeconds } = policy;
  const numbers = (...values: number[]) => values.map(String);
  const state = (now: number) =>
    numbers(now, forgiveSeconds, free + MOST_BEYOND, RESERVATION_LIFE_MS, MAX_SKEW_MS);
  return {
    async reserve(address) {
      const key = await keyOf(name, address, deps);
      const reservedAt = deps.clock.now();
      const args = [...state(reservedAt), ...numbers(free, firstWaitSeconds, maxWaitSeconds)];
      const reply = await deps.redis.run(RESERVE, [key], args);
      const [waitSeconds, failures, others] = reply as [number, number, number];
      if (waitSeconds > 0) {
        return others > 0 ? BUSY : { kind: 'refused', waitSeconds, isBusy: false };
      }
      const settle = (hasFailed: number) => {
        const how = [...state(deps.clock.now()), ...numbers(reservedAt, hasFailed)];
        // Nobody waits for it: what this node asks next comes after it. If it is lost, the reservation stays a failure.
        deps.redis.run(SETTLE, [key], how).catch(() => {});
      };
      return {
        kind: 'reserved',
        failures,
        others,
        keep: () => settle(1),
        release: () => settle(0),
      };
    },
  };
}

const COUNT = defineScript(
  'count-minute',
  `
-- KEYS 1 the count of a minute
-- ARGV 1 how many are added
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], 120000)
return count`,
  ['allow-oom'],
);

/**
 * Counts for all nodes. What one node counts and takes back within one turn of its event loop is one call: all requests
 * of a cluster meet at this one key.
 *
 * @param name - tells it from other counts
 */
export function redisMinuteCount(
  name: string,
  { redis, prefix, clock }: Omit<SharedBudgetDeps, 'addressKey'>,
): MinuteCount {
  const keyOf = (minute: number) => `${prefix}{f${name}${minute}}`;
  let batch: { minute: number; taken: number; given: number; total: Promise<number> } | undefined;
  const batchOf = (minute: number) => {
    if (batch?.minute === minute) return batch;
    const begun = { minute, taken: 0, given: 0, total: Promise.resolve(0) };
    begun.total = new Promise<void>((resolve) => setImmediate(resolve)).then(async () => {
      if (batch === begun) batch = undefined;
      const change = String(begun.taken - begun.given);
      return (await redis.run(COUNT, [keyOf(minute)], [change])) as number;
    });
    // Where nobody waits for it, it only gives back: lost, it is forgotten with its minute.
    begun.total.catch(() => {});
    batch = begun;
    return begun;
  };
  return {
    async reserve() {
      const minute = minuteOf(clock.now());
      const mine = batchOf(minute);
      mine.taken += 1;
      const place = mine.taken;
      const total = await mine.total;
      return {
        count: total - mine.taken + place,
        release() {
          if (minuteOf(clock.now()) === minute) batchOf(minute).given += 1;
        },
      };
    },
    async read() {
      const key = keyOf(minuteOf(clock.now()));
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
  ['allow-oom'],
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
