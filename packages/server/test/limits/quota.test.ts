// Quotas in memory: a burst, a refill within an hour, and bounded size.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { Quota } from '../../src/limits/quota.js';

test.each([1, 7, 11, 13, 300, 9999])(
  '%i per hour are no more than that, however an hour divides',
  async (perHour) => {
    const clock = new FakeClock();
    const quota = new Quota(perHour, clock, 10);
    let taken = 0;
    for (let n = 0; n < 3 * perHour; n++) if ((await quota.take('a')) === 0) taken += 1;
    // Rounding may make the last one unavailable.
    expect([perHour - 1, perHour]).toContain(taken);
  },
);

test('the number of keys is bounded, and keys with a complete quota are removed', async () => {
  const clock = new FakeClock();
  const quota = new Quota(60, clock, 2);
  for (const key of ['a', 'b', 'c']) await quota.take(key);
  expect(quota.size).toBe(2);
  clock.advance(3_600_000);
  await quota.take('d');
  expect(quota.size).toBe(1);
});
