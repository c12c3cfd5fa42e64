// What every budget must do, wherever it is kept: quotas, penalties, and the count of a minute.
import { describe, expect, test } from 'vitest';
import type { MinuteCount } from '../../src/platform/minute-count.js';
import type { Penalties, PenaltyPolicy } from '../../src/platform/penalties.js';
import type { Quota } from '../../src/platform/quota.js';
import { FakeClock } from '../support/fake-clock.js';

/** Budgets of one place, empty at first; asked twice, as two nodes that share it. */
export interface BudgetPlace {
  quota(perHour: number): Quota;
  penalties(policy: PenaltyPolicy): Penalties;
  minuteCount(): MinuteCount;
}

const POLICY = { free: 3, firstWaitSeconds: 1, maxWaitSeconds: 60, forgiveSeconds: 100 };

export function budgetContract(
  name: string,
  open: (clock: FakeClock) => Promise<BudgetPlace>,
): void {
  const setUp = async () => {
    const clock = new FakeClock();
    return { clock, place: await open(clock) };
  };
  /** How many may be taken before one has to wait. */
  const drain = async (quota: Quota, key = 'a') => {
    let taken = 0;
    while ((await quota.take(key)) === 0) taken += 1;
    return taken;
  };
  const fail = async (penalties: Penalties, key: string, times: number) => {
    for (let n = 0; n < times; n++) await penalties.fail(key);
  };

  describe(`${name}: quota`, () => {
    test('so many may be taken at once, then one each interval', async () => {
      const { clock, place } = await setUp();
      const quota = place.quota(60);
      expect(await drain(quota)).toBe(60);
      expect(await quota.take('a')).toBe(60);
      clock.advance(59_000);
      expect(await quota.take('a')).toBe(1);
      clock.advance(1000);
      expect(await drain(quota)).toBe(1);
    });

    test('after an hour it is whole again, and no more than whole', async () => {
      const { clock, place } = await setUp();
      const quota = place.quota(7);
      await drain(quota);
      clock.advance(5 * 3_600_000);
      expect(await drain(quota)).toBe(7);
    });

    test('one key takes nothing from another', async () => {
      const { place } = await setUp();
      const quota = place.quota(2);
      expect(await drain(quota, 'a')).toBe(2);
      expect(await drain(quota, 'b')).toBe(2);
    });

    test('of many that take at once, so many get one', async () => {
      const { place } = await setUp();
      const quota = place.quota(10);
      const waits = await Promise.all(Array.from({ length: 30 }, () => quota.take('a')));
      expect(waits.filter((wait) => wait === 0)).toHaveLength(10);
    });

    test('a clock that is set back holds nobody for longer than an hour', async () => {
      const { clock, place } = await setUp();
      const quota = place.quota(6);
      await drain(quota);
      clock.set(-24 * 3_600_000);
      clock.advance(3_600_000);
      expect(await quota.take('a')).toBe(0);
    });
  });

  describe(`${name}: penalties`, () => {
    test('failures beyond the free ones cost a wait that doubles, and runs off', async () => {
      const { clock, place } = await setUp();
      const penalties = place.penalties(POLICY);
      await fail(penalties, 'a', 3);
      expect(await penalties.waitSeconds('a')).toBe(0);
      await fail(penalties, 'a', 3);
      expect(await penalties.waitSeconds('a')).toBe(4);
      expect(await penalties.waitSeconds('b')).toBe(0);
      clock.advance(1500);
      expect(await penalties.waitSeconds('a')).toBe(3);
      clock.advance(2500);
      expect(await penalties.waitSeconds('a')).toBe(0);
    });

    test('one failure is forgiven for each span without one', async () => {
      const { clock, place } = await setUp();
      const penalties = place.penalties(POLICY);
      await fail(penalties, 'a', 3);
      clock.advance(100_000);
      await penalties.fail('a');
      expect(await penalties.waitSeconds('a')).toBe(0);
      await penalties.fail('a');
      expect(await penalties.waitSeconds('a')).toBe(1);
    });

    test('what a flood has failed is forgiven in bounded time', async () => {
      const { clock, place } = await setUp();
      const penalties = place.penalties(POLICY);
      await fail(penalties, 'a', 300);
      expect(await penalties.waitSeconds('a')).toBe(60);
      clock.advance(15 * 100_000);
      await fail(penalties, 'a', 3);
      expect(await penalties.waitSeconds('a')).toBe(0);
    });

    test('a clock that is set back frees everyone instead of holding them', async () => {
      const { clock, place } = await setUp();
      const penalties = place.penalties(POLICY);
      await fail(penalties, 'a', 9);
      clock.set(-3_600_000);
      expect(await penalties.waitSeconds('a')).toBe(0);
    });
  });

  describe(`${name}: count of a minute`, () => {
    test('each one counts, whoever adds it, until the next minute of the clock', async () => {
      const { clock, place } = await setUp();
      const [one, other] = [place.minuteCount(), place.minuteCount()];
      expect(await one.read()).toBe(0);
      expect(await one.add()).toBe(1);
      expect(await other.add()).toBe(2);
      expect(await one.read()).toBe(2);
      clock.advance(59_999);
      expect(await other.read()).toBe(2);
      clock.advance(1);
      expect([await one.read(), await other.read()]).toEqual([0, 0]);
      expect(await one.add()).toBe(1);
    });
  });
}
