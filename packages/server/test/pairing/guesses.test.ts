// Limits on guesses: turns, and keys in Redis. wire/guessing.test.ts has the budgets.

import { describeWith } from '@couplet/testkit/components';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Limited, Unavailable } from '../../src/base/failures.js';
import { addressDigests } from '../../src/limits/address-digests.js';
import {
  ACCEPT_GUESSES,
  createGuesses,
  type GuessRequest,
  TURNS,
} from '../../src/pairing/guesses.js';
import { openRedisStore } from '../../src/pairing/redis/store.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';

describeWith(['redis-server'], 'budgets in Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.dispose());

  const guess = { address: '192.0.2.77', failed() {} };
  const budgets = { createsPerHour: 10, keyedPerHour: 10, ceiling: 10 };

  test('no key or value contains an address, two nodes compute the same digest of it, and every budget expires', async () => {
    const [redis, prefix] = [await openRedis(server.url), newPrefix()];
    const now = Date.now();
    for (const n of [0, 1]) {
      const digestOf = addressDigests(redis, prefix);
      const store = openRedisStore(redis, { prefix, budgets, digestOf });
      const once = { key: `${n}`, fingerprint: '', address: guess.address, keptUntil: now + 1000 };
      await store.check('000001', 'a', now, once, true, undefined, guess);
      const acceptance = { joinCode: '000001', client2: 'b', roomId: 'r', secret: 's' };
      await store.accept({ ...acceptance, collectableUntil: now }, now, undefined, guess);
      const pending = { client1: 'a', expiresAt: now + 1000, address: guess.address, secret: 's' };
      await store.create({ ...pending, joinCode: `00001${n}` }, now, undefined, guess);
    }
    const seen: string[] = [];
    for await (const keys of redis.scan(`${prefix}*`)) seen.push(...keys);
    const counts = seen.filter((key) => /guesses|quota|failures/.test(key));
    expect(counts.map((key) => key.replace(/[^:]*$/, '')).sort()).toEqual(
      ['failures:', 'guesses:accept:', 'guesses:check:', 'quota:create:', 'quota:keyed:'].map(
        (name) => `${prefix}{pairing}${name}`,
      ),
    );
    const values = await Promise.all(
      counts.map(async (key) => {
        const lifeMs = (await redis.command(key, ['PTTL', key])) as number;
        expect(lifeMs).toBeGreaterThan(0);
        expect(lifeMs).toBeLessThanOrEqual(7200_000);
        return redis.command(key, ['GET', key]);
      }),
    );
    expect([...seen, ...values].join(' ')).not.toContain('192.0.2.77');
  });

  test('a guess counts even if its answer is lost', async () => {
    const redis = await openRedis(server.url);
    const now = Date.UTC(2100, 0, 1);
    const lost = {
      ...redis,
      write: async (...args: Parameters<typeof redis.write>) => {
        await redis.write(...args);
        throw new Unavailable(new Error('no answer'));
      },
    };
    const store = openRedisStore(lost, { prefix: newPrefix(), budgets, isTimeGiven: true });
    const acceptance = { client2: 'b', roomId: 'r', collectableUntil: now, secret: 's' };
    const ask = (n: number) =>
      store.accept({ ...acceptance, joinCode: `${100000 + n}` }, now, undefined, guess);
    for (let n = 0; n < 10; n++) await expect(ask(n)).rejects.toThrow(Unavailable);
    expect(await store.failedGuesses?.(now)).toBe(10);
  });
});

function setUp(ceiling = 1000) {
  const counted = { accept: 0, check: 0, address: 0, ceiling: 0, queue: 0 };
  const counters = { failures: counted, refusals: counted };
  const limits = { createsPerHour: 100, ceiling };
  const guesses = createGuesses({}, limits, new FakeClock(), counters);
  let asked = 0;
  /** Tries a code; the store answers in a later turn. Resolves to the outcome, or to the seconds to wait. */
  const guess = (
    kind: string,
    request: GuessRequest = 'accept',
    isGone = () => false,
    address = 'a',
  ) => {
    const run = async () => {
      asked += 1;
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (kind === 'away') throw new Error('store away');
      return { kind };
    };
    return guesses.run(request, { address, isGone, run }).then(
      (outcome) => outcome.kind,
      (error) => (error instanceof Limited ? error.seconds : error.message),
    );
  };
  return { counted, guess, asked: () => asked };
}

const WRONG = 'not_found_or_expired';
const many = <T>(times: number, work: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: times }, (_, n) => work(n)));

test('in a burst, while the outcomes are unknown, an address learns of the free failures and one more', async () => {
  const { guess, counted } = setUp();
  const answers = await many(200, (n) =>
    n % 2 === 0 ? guess(WRONG) : guess('conflict', 'create'),
  );
  expect(answers.filter((answer) => typeof answer === 'string')).toHaveLength(
    ACCEPT_GUESSES.free + 1,
  );
  expect(counted).toMatchObject({ accept: ACCEPT_GUESSES.free + 1, check: 0 });
});

test('in a burst from many addresses, each has one try beyond the ceiling', async () => {
  const { guess, counted } = setUp(50);
  const answers = await many(1000, (n) => guess(WRONG, 'accept', undefined, `${n % 100}`));
  expect(answers.filter((answer) => typeof answer === 'string')).toHaveLength(50);
  expect(counted.accept).toBeLessThanOrEqual(50 + 100);
});

test('attempts that the store cannot answer do not count', async () => {
  const { guess } = setUp();
  // Half of them are creates, and more than their quota.
  for (let n = 0; n < 300; n++) {
    expect(await guess('away', n % 2 === 0 ? 'accept' : 'create')).toBe('store away');
  }
  expect(await guess(WRONG)).toBe(WRONG);
  for (let n = 0; n < 100; n++) {
    if (n === 99) await guess('away', 'create');
    expect(await guess('created', 'create')).toBe('created');
  }
  expect(await guess('created', 'create')).toBe(36);
});

test('a limited number of attempts of one address run at once; attempts beyond its queue are refused for a second', async () => {
  const { guess, asked, counted } = setUp();
  const { atOnce, waiting } = TURNS.accept;
  const answers = many(atOnce + waiting + 5, () => guess('accepted'));
  await new Promise<void>((resolve) => process.nextTick(resolve));
  expect(asked()).toBe(atOnce);
  const seconds = (await answers).filter((answer) => answer !== 'accepted');
  expect(seconds).toEqual([1, 1, 1, 1, 1]);
  expect(counted.queue).toBe(5);
});

test('a client that disconnects before its turn never reaches the store; a running attempt is counted if it fails', async () => {
  const { guess, asked } = setUp();
  let isGone = false;
  const answers = many(50, () => guess(WRONG, 'accept', () => isGone));
  await new Promise<void>((resolve) => process.nextTick(resolve));
  isGone = true;
  await answers;
  expect(asked()).toBe(TURNS.accept.atOnce);
  for (let n = asked(); n <= ACCEPT_GUESSES.free; n++) expect(await guess(WRONG)).toBe(WRONG);
  expect(await guess(WRONG)).toBe(1);
});
