// Checks the odds in SECURITY.md: computes the table from the limits, and attacks running servers with default settings.

import { describeWith } from '@couplet/testkit/components';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { flood, type PipelinedRequest } from '@couplet/testkit/pipelined';
import { startRedis } from '@couplet/testkit/redis-servers';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { MemoryPenalties, unforgiven, waitAfter } from '../packages/server/src/limits/penalties.js';
import { MemoryQuota } from '../packages/server/src/limits/quota.js';
import { ACCEPT_GUESSES, CHECK_GUESSES } from '../packages/server/src/pairing/guesses.js';
import { openRedisStore } from '../packages/server/src/pairing/redis/store.js';
import { openSqliteStore } from '../packages/server/src/pairing/sqlite/store.js';
import type { PairingStore } from '../packages/server/src/pairing/store.js';
import { SETTINGS } from '../packages/server/src/settings/config.js';
import { openRedis } from '../packages/server/test/support/redis-stores.js';
import { bestPlan, chance, mostGuesses, mostTries, oddsTable, shown } from '../scripts/odds.js';
import { read, section, tableRows } from './support/papers.js';

const HOUR = 3600;
const RULES = { waitAfter, unforgiven };
const defaultOf = (name: string) => SETTINGS.get(name)?.default as number;
const CREATES_PER_HOUR = defaultOf('MAX_CREATES_PER_HOUR');
const CEILING = defaultOf('MAX_FAILED_GUESSES_PER_MINUTE');
const security = read('SECURITY.md');
const guessing = section(security, '## Guessing join codes');

test('the penalties allow the best plan of an address guess by guess, and no earlier', async () => {
  for (const policy of [ACCEPT_GUESSES, CHECK_GUESSES]) {
    const clock = new FakeClock();
    const penalties = new MemoryPenalties(policy, clock, 100);
    const guess = async () => {
      const reserved = await penalties.reserve('attacker');
      if (reserved.kind === 'reserved') reserved.keep();
      return reserved.kind;
    };
    let failures = 0;
    for (const pause of [0, ...bestPlan(policy, RULES, policy === ACCEPT_GUESSES ? HOUR : 120)]) {
      if (waitAfter(failures, policy) === pause && pause > 0) {
        clock.advance(pause * 1000 - 1);
        expect(await guess()).toBe('refused');
        clock.advance(1);
      } else {
        clock.advance(pause * 1000);
      }
      expect(await guess()).toBe('reserved');
      failures = unforgiven(failures, pause, policy) + 1;
    }
  }
});

test('SECURITY.md states the guesses of the first hour and of later hours', () => {
  expect(guessing).toContain(
    `${mostGuesses(ACCEPT_GUESSES, RULES, HOUR)} guesses in the first hour, and ${HOUR / ACCEPT_GUESSES.forgiveSeconds} in each later`,
  );
  expect(guessing).toContain(`may fail ${ACCEPT_GUESSES.free} times`);
  expect(guessing).toContain(`up to ${ACCEPT_GUESSES.maxWaitSeconds / 60} minutes`);
  expect(guessing).toContain(`every ${ACCEPT_GUESSES.forgiveSeconds / 60} minutes`);
});

test('the quota of creates allows twice its hourly number in the first hour', async () => {
  const clock = new FakeClock();
  const quota = new MemoryQuota(CREATES_PER_HOUR, clock, 10);
  const end = clock.now() + HOUR * 1000;
  let creates = 0;
  while (clock.now() < end) {
    const wait = await quota.take('attacker');
    if (wait === 0) creates += 1;
    else clock.advance(wait * 1000);
  }
  expect(creates).toBeLessThanOrEqual(2 * CREATES_PER_HOUR);
  expect(guessing).toContain(`may make ${CREATES_PER_HOUR} codes at once`);
  expect(guessing).toContain(`makes ${2 * CREATES_PER_HOUR} more tries`);
});

test('SECURITY.md has the table that follows from the limits', () => {
  const computed = oddsTable(mostTries(ACCEPT_GUESSES, RULES, CREATES_PER_HOUR));
  expect(tableRows(guessing)).toEqual(tableRows(computed));
});

test('a chance is that of at least one hit, and is never shown as exactly zero or one', () => {
  expect(chance(1, 10, 6)).toBeCloseTo(1e-5, 12);
  expect(chance(33, 50_000, 6)).toBeCloseTo(1 - 0.95 ** 33, 12);
  expect(shown(chance(33_000, 50_000, 6))).toBe('> 99.9 %');
  expect(shown(0.998)).toBe('> 99 %');
  expect(shown(0.994)).toBe('99 %');
  expect(shown(0.0325)).toBe('3.3 %');
  expect(shown(3.3e-10)).toBe('1 in 3,000,000,000');
});

/** Records the codes that a store is asked for. */
function notingStore(store: PairingStore) {
  const asked = { create: [] as string[], accept: [] as string[], check: [] as string[] };
  const noted: PairingStore = {
    ...store,
    create(pending, ...rest) {
      asked.create.push(pending.joinCode);
      return store.create(pending, ...rest);
    },
    accept(acceptance, ...rest) {
      asked.accept.push(acceptance.joinCode);
      return store.accept(acceptance, ...rest);
    },
    check(joinCode, ...rest) {
      asked.check.push(joinCode);
      return store.check(joinCode, ...rest);
    },
  };
  return { store: noted, asked };
}

/** A server with default settings; the settings of test servers are undone. */
async function target(env: Record<string, string> = {}, clock = new FakeClock()) {
  const { store, asked } = notingStore(openSqliteStore(':memory:'));
  const defaults = { MAX_CREATES_PER_HOUR: String(CREATES_PER_HOUR) };
  const server = await startServer({ ...defaults, ...env }, { clock, store });
  onTestFinished(() => server.close());
  return { url: server.url, store, asked, clock };
}

let nextCode = 0;
const codes = (count: number) =>
  Array.from({ length: count }, () => String(nextCode++ % 1_000_000).padStart(6, '0'));

const accept = (joinid: string, headers = {}): PipelinedRequest => ({
  path: '/api/rooms/accept',
  body: { joinid, client2: 'attacker' },
  headers,
});
const create = (joinid: string, headers = {}): PipelinedRequest => ({
  path: '/api/rooms',
  body: { joinid, client1: 'attacker', expiresInSeconds: 1 },
  headers,
});
const check = (joinid: string, headers = {}): PipelinedRequest => ({
  path: '/api/rooms/check',
  body: { joinid, client1: 'victim' },
  headers,
});

const AT_ONCE = ACCEPT_GUESSES.free + 1;
const statuses = (answers: { status: number }[], status: number) =>
  answers.filter((answer) => answer.status === status).length;

test('40 sockets × 500 pipelined accepts of one address test as many codes as sequential ones, over a whole hour', async () => {
  const { url, asked, clock } = await target();
  const end = clock.now() + HOUR * 1000;
  const told = statuses(
    await flood(
      url,
      40,
      codes(20_000).map((code) => accept(code)),
    ),
    404,
  );
  expect([told, asked.accept.length]).toEqual([AT_ONCE, AT_ONCE]);
  let greedy = AT_ONCE;
  let failures = AT_ONCE;
  for (;;) {
    const pause = waitAfter(failures, ACCEPT_GUESSES);
    if (clock.now() + pause * 1000 >= end) break;
    clock.advance(pause * 1000);
    const answers = await flood(
      url,
      4,
      codes(40).map((code) => accept(code)),
    );
    greedy += 1;
    failures = unforgiven(failures, pause, ACCEPT_GUESSES) + 1;
    expect([statuses(answers, 404), asked.accept.length]).toEqual([1, greedy]);
  }
  expect(greedy).toBeLessThanOrEqual(mostGuesses(ACCEPT_GUESSES, RULES, HOUR));
  expect(guessing).toContain(`${AT_ONCE} at once, ${greedy} in an hour of bursts`);
});

test('concurrent keys, creates and checks bypass no limit: each budget allows as many as in sequence', async () => {
  const { url, store, asked, clock } = await target();
  const live = codes(60);
  for (const joinCode of live) {
    const expiresAt = clock.now() + 600_000;
    const pending = { joinCode, client1: 'victim', expiresAt, address: 'v', secret: 's' };
    await store.create(pending, clock.now());
  }
  asked.create.length = 0;
  const key = (n: number) => (n % 2 ? { 'idempotency-key': `${n}` } : {});
  const requests = codes(1000).flatMap((code, n) => [
    accept(code, key(4 * n)),
    create(live[n % 60] as string, key(4 * n + 1)),
    check(code, key(4 * n + 2)),
    accept(code, { 'idempotency-key': 'one for all' }),
  ]);
  const answers = await flood(url, 40, requests);
  expect(asked.accept.length + asked.create.length).toBe(AT_ONCE);
  expect(asked.check).toHaveLength(CHECK_GUESSES.free + 1);
  expect(guessing).toContain(`${AT_ONCE} accepts and creates, ${CHECK_GUESSES.free + 1} checks`);
  expect(statuses(answers, 201) + statuses(answers, 200)).toBe(0);
});

test('a thousand addresses behind a trusted proxy learn of as many failures as the ceiling, and test one more code each', async () => {
  const { url, asked } = await target({ TRUST_PROXY: '1' });
  const addresses = Array.from({ length: 1000 }, (_, n) => `10.0.${n >> 8}.${n & 255}`);
  const requests = codes(20_000).map((code, n) =>
    accept(code, { 'x-forwarded-for': addresses[n % 1000] as string }),
  );
  const answers = await flood(url, 40, requests);
  const told = new Set(
    addresses.filter((_, a) => answers.some(({ status }, n) => n % 1000 === a && status === 404)),
  );
  expect(statuses(answers, 404)).toBe(CEILING);
  expect(statuses(answers, 429)).toBe(20_000 - CEILING);
  expect(guessing).toContain(`${CEILING} failures with 404, and one more try`);
  expect(asked.accept).toHaveLength(CEILING + 1000 - told.size);
});

test('the addresses of an IPv6 /64 count as one', async () => {
  const { url, asked } = await target({ TRUST_PROXY: '1' });
  const requests = codes(8000).map((code, n) =>
    accept(code, { 'x-forwarded-for': `2001:db8:0:${n % 8}::${n.toString(16)}` }),
  );
  expect(statuses(await flood(url, 40, requests), 404)).toBe(8 * AT_ONCE);
  expect(asked.accept).toHaveLength(8 * AT_ONCE);
});

describeWith(['redis-server'], 'two nodes over one Redis', () => {
  test('40 sockets × 500 pipelined accepts of one address at both nodes test as many codes as at one', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.dispose());
    const clock = new FakeClock();
    const nodes = await Promise.all(
      [1, 2].map(async () => {
        const connection = await openRedis(redis.url, { timeoutMs: 10_000 });
        const budgets = {
          createsPerHour: CREATES_PER_HOUR,
          keyedPerHour: 1000,
          ceiling: CEILING,
        };
        const options = { prefix: 'odds:', budgets, isTimeGiven: true };
        const store = openRedisStore(connection, options);
        const server = await startServer({}, { clock, store });
        onTestFinished(() => server.close());
        return { url: server.url, store };
      }),
    );
    const answers = await Promise.all(
      nodes.map(({ url }) =>
        flood(
          url,
          20,
          codes(10_000).map((code) => accept(code)),
        ),
      ),
    );
    expect(statuses(answers.flat(), 404)).toBe(AT_ONCE);
    expect(statuses(answers.flat(), 429)).toBe(20_000 - AT_ONCE);
    // Every tested code was also answered.
    expect(await nodes[0]?.store.failedGuesses?.(clock.now())).toBe(AT_ONCE);
  });
});
