// Budgets in memory: quotas, penalties, and the count of a minute. The contract of guesses tests those in Redis.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { describe, expect, test } from 'vitest';
import { MemoryMinuteCount, type MinuteCount } from '../../src/limits/minute-count.js';
import {
  MemoryPenalties,
  type Penalties,
  type PenaltyPolicy,
  type Reservation,
} from '../../src/limits/penalties.js';
import { MemoryQuota, type Quota } from '../../src/limits/quota.js';

const POLICY = { free: 3, firstWaitSeconds: 1, maxWaitSeconds: 60, forgiveSeconds: 100 };

const setUp = () => {
  const clock = new FakeClock();
  const count = new MemoryMinuteCount(clock);
  let penalties: MemoryPenalties | undefined;
  return {
    clock,
    place: {
      quota: (perHour: number) => new MemoryQuota(perHour, clock, 100),
      penalties(policy: PenaltyPolicy) {
        penalties ??= new MemoryPenalties(policy, clock, 100);
        return penalties;
      },
      minuteCount: () => count,
    },
  };
};
/** Returns how many can be taken before a wait. */
const drain = async (quota: Quota, key = 'a') => {
  let taken = 0;
  while ((await quota.take(key)) === 0) taken += 1;
  return taken;
};
/** Fails several times in sequence, and waits as required before each attempt. */
const fail = async (clock: FakeClock, penalties: Penalties, key: string, times: number) => {
  for (let n = 0; n < times; n++) {
    let reserved = await penalties.reserve(key);
    while (reserved.kind === 'refused') {
      clock.advance(reserved.waitSeconds * 1000);
      reserved = await penalties.reserve(key);
    }
    reserved.keep();
  }
};
/** Returns the seconds that a key must wait. An attempt without a wait is released. */
const waitOf = async (penalties: Penalties, key: string) => {
  const reserved = await penalties.reserve(key);
  if (reserved.kind === 'refused') return reserved.waitSeconds;
  reserved.release();
  return 0;
};
const reserveMany = (places: Penalties[], key: string, times: number) =>
  Promise.all(
    Array.from({ length: times }, (_, n) => (places[n % places.length] as Penalties).reserve(key)),
  );
const isReserved = (answer: { kind: string }): answer is Reservation => answer.kind === 'reserved';

describe('quotas in memory', () => {
  test('exactly the number that was given back can be taken again', async () => {
    const { place } = setUp();
    const quota = place.quota(10);
    await quota.giveBack('a');
    await drain(quota);
    await quota.giveBack('a');
    await quota.giveBack('a');
    expect(await drain(quota)).toBe(2);
    expect(await drain(quota, 'b')).toBe(10);
  });

  test('the whole quota can be taken at once, then one per interval', async () => {
    const { clock, place } = setUp();
    const quota = place.quota(60);
    expect(await drain(quota)).toBe(60);
    expect(await quota.take('a')).toBe(60);
    clock.advance(59_000);
    expect(await quota.take('a')).toBe(1);
    clock.advance(1000);
    expect(await drain(quota)).toBe(1);
  });

  test('after an hour, the quota is complete again and not larger', async () => {
    const { clock, place } = setUp();
    const quota = place.quota(7);
    await drain(quota);
    clock.advance(5 * 3_600_000);
    expect(await drain(quota)).toBe(7);
  });

  test('keys do not share a quota', async () => {
    const { place } = setUp();
    const quota = place.quota(2);
    expect(await drain(quota, 'a')).toBe(2);
    expect(await drain(quota, 'b')).toBe(2);
  });

  test('of many simultaneous takes, only the quota succeeds', async () => {
    const { place } = setUp();
    const quota = place.quota(10);
    const waits = await Promise.all(Array.from({ length: 30 }, () => quota.take('a')));
    expect(waits.filter((wait) => wait === 0)).toHaveLength(10);
  });

  test('clocks that differ by seconds do not reset a quota', async () => {
    const { clock, place } = setUp();
    const quota = place.quota(6);
    await drain(quota);
    clock.set(-5000);
    expect(await quota.take('a')).toBeGreaterThan(0);
  });

  test('after the clock is set back, no key waits longer than an hour', async () => {
    const { clock, place } = setUp();
    const quota = place.quota(6);
    await drain(quota);
    clock.set(-24 * 3_600_000);
    clock.advance(3_600_000);
    expect(await quota.take('a')).toBe(0);
  });
});

describe('penalties in memory', () => {
  test('each failure beyond the free ones doubles the wait, which ends with time', async () => {
    const { clock, place } = setUp();
    const penalties = place.penalties(POLICY);
    await fail(clock, penalties, 'a', 3);
    expect(await waitOf(penalties, 'a')).toBe(0);
    await fail(clock, penalties, 'a', 3);
    expect(await waitOf(penalties, 'a')).toBe(4);
    expect(await waitOf(penalties, 'b')).toBe(0);
    clock.advance(1500);
    expect(await waitOf(penalties, 'a')).toBe(3);
    clock.advance(2500);
    expect(await waitOf(penalties, 'a')).toBe(0);
  });

  test('one failure is forgiven per period without a failure', async () => {
    const { clock, place } = setUp();
    const penalties = place.penalties(POLICY);
    await fail(clock, penalties, 'a', 3);
    clock.advance(100_000);
    await fail(clock, penalties, 'a', 1);
    expect(await waitOf(penalties, 'a')).toBe(0);
    await fail(clock, penalties, 'a', 1);
    expect(await waitOf(penalties, 'a')).toBe(1);
  });

  test('the failures of a flood are forgiven in bounded time', async () => {
    const { clock, place } = setUp();
    const penalties = place.penalties(POLICY);
    await fail(clock, penalties, 'a', 300);
    expect(await waitOf(penalties, 'a')).toBe(60);
    clock.advance(15 * 100_000);
    await fail(clock, penalties, 'a', 3);
    expect(await waitOf(penalties, 'a')).toBe(0);
  });

  test('after the clock is set back, no key waits', async () => {
    const { clock, place } = setUp();
    const penalties = place.penalties(POLICY);
    await fail(clock, penalties, 'a', 9);
    clock.set(-3_600_000);
    expect(await waitOf(penalties, 'a')).toBe(0);
  });

  test('simultaneous attempts on two nodes are limited to the number of sequential attempts', async () => {
    const { place } = setUp();
    const nodes = [place.penalties(POLICY), place.penalties(POLICY)];
    const answers = await reserveMany(nodes, 'a', 40);
    const reserved = answers.filter(isReserved);
    expect(reserved).toHaveLength(POLICY.free + 1);
    expect(reserved.map(({ others }) => others)).toEqual([0, 1, 2, 3]);
    const refused = answers.filter((answer) => !isReserved(answer));
    expect(new Set(refused)).toEqual(new Set([{ kind: 'refused', waitSeconds: 1, isBusy: true }]));
    for (const { keep } of reserved) keep();
    expect(await nodes[0]?.reserve('a')).toEqual({
      kind: 'refused',
      waitSeconds: 1,
      isBusy: false,
    });
  });

  test('a released attempt does not count, and a kept attempt does', async () => {
    const { clock, place } = setUp();
    const penalties = place.penalties(POLICY);
    await fail(clock, penalties, 'a', 2);
    clock.advance(60_000);
    for (const { release } of (await reserveMany([penalties], 'a', 2)).filter(isReserved)) {
      release();
    }
    clock.advance(40_000);
    // Earlier failures are forgiven as if there were no other attempts.
    const third = await penalties.reserve('a');
    expect(third).toMatchObject({ failures: 1, others: 0 });
    if (isReserved(third)) third.keep();
    expect(await penalties.reserve('a')).toMatchObject({ failures: 2, others: 0 });
  });

  test('clocks that differ by seconds do not forgive failures', async () => {
    const { clock, place } = setUp();
    const penalties = place.penalties(POLICY);
    for (let n = 0; n < 20; n++) {
      clock.set(n % 2 === 0 ? 5000 : -5000);
      const reserved = await penalties.reserve('a');
      if (isReserved(reserved)) reserved.keep();
    }
    expect(await waitOf(penalties, 'a')).toBeGreaterThan(0);
  });
});

describe('count of a minute in memory', () => {
  test('events of all nodes count until the next minute of the clock', async () => {
    const { clock, place } = setUp();
    const [one, other] = [place.minuteCount(), place.minuteCount()];
    expect(await one.read()).toBe(0);
    expect((await one.reserve()).count).toBe(1);
    expect((await other.reserve()).count).toBe(2);
    expect(await one.read()).toBe(2);
    clock.advance(59_999);
    expect(await other.read()).toBe(2);
    clock.advance(1);
    expect([await one.read(), await other.read()]).toEqual([0, 0]);
    expect((await one.reserve()).count).toBe(1);
  });

  test('simultaneous events get different numbers, and a released number is available again in its minute', async () => {
    const { clock, place } = setUp();
    const nodes = [place.minuteCount(), place.minuteCount()];
    const counted = await Promise.all(
      Array.from({ length: 20 }, (_, n) => (nodes[n % 2] as MinuteCount).reserve()),
    );
    const counts = counted.map(({ count }) => count).sort((a, b) => a - b);
    expect(counts).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    for (const { release } of counted.slice(0, 15)) release();
    // The next request of a node arrives after its release.
    for (const node of nodes) (await node.reserve()).release();
    expect((await nodes[1]?.reserve())?.count).toBeLessThanOrEqual(7);
    clock.advance(60_000);
    for (const { release } of counted.slice(15)) release();
    expect((await nodes[0]?.reserve())?.count).toBe(1);
  });
});
