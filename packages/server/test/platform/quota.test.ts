// A quota: so many at once, as many again per hour, bounded in memory.
import { expect, test } from 'vitest';
import { Quota } from '../../src/platform/quota.js';
import { FakeClock } from '../support/fake-clock.js';

/** How many may be taken before one has to wait. */
function drain(quota: Quota, key = 'a'): number {
  let taken = 0;
  while (quota.take(key) === 0) taken += 1;
  return taken;
}

test('so many may be taken at once, then one each interval', () => {
  const clock = new FakeClock();
  const quota = new Quota(60, clock, 10);
  expect(drain(quota)).toBe(60);
  expect(quota.take('a')).toBe(60);
  clock.advance(59_000);
  expect(quota.take('a')).toBe(1);
  clock.advance(1000);
  expect(drain(quota)).toBe(1);
});

test('after an hour the quota is whole again, and no more than whole', () => {
  const clock = new FakeClock();
  const quota = new Quota(60, clock, 10);
  drain(quota);
  clock.advance(5 * 3_600_000);
  expect(drain(quota)).toBe(60);
});

test('one key takes nothing from another', () => {
  const quota = new Quota(2, new FakeClock(), 10);
  expect(drain(quota, 'a')).toBe(2);
  expect(drain(quota, 'b')).toBe(2);
});

test('a clock that is set back holds nobody for longer than an hour', () => {
  const clock = new FakeClock();
  const quota = new Quota(60, clock, 10);
  drain(quota);
  clock.set(-24 * 3_600_000);
  clock.advance(3_600_000);
  expect(quota.take('a')).toBe(0);
});

test('no more keys are kept than the capacity, and none whose quota is whole', () => {
  const clock = new FakeClock();
  const quota = new Quota(60, clock, 2);
  for (const key of ['a', 'b', 'c']) quota.take(key);
  expect(quota.size).toBe(2);
  clock.advance(3_600_000);
  quota.take('d');
  expect(quota.size).toBe(1);
});
