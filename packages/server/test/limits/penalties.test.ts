// Penalties in memory: waits, reservations, bounded size, and removal over time. Their rules are in contract/guesses.ts.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { Penalties, waitAfter } from '../../src/limits/penalties.js';

const POLICY = { free: 3, firstWaitSeconds: 1, maxWaitSeconds: 60, forgiveSeconds: 100 };

async function fail(penalties: Penalties, key: string): Promise<number> {
  const reserved = await penalties.reserve(key);
  if (reserved.kind === 'refused') return reserved.waitSeconds;
  reserved.keep();
  return 0;
}

test.each([
  [0, 0],
  [3, 0],
  [4, 1],
  [5, 2],
  [9, 32],
  [10, 60],
  [1000, 60],
])('after %i failures, the wait is %i seconds', (failures, seconds) => {
  expect(waitAfter(failures, POLICY)).toBe(seconds);
});

test('beyond the capacity, the key with the oldest failure is removed', async () => {
  const clock = new FakeClock();
  const penalties = new Penalties(POLICY, clock, 2);
  for (const key of ['a', 'b', 'c']) {
    for (let n = 0; n <= POLICY.free; n++) await fail(penalties, key);
    clock.advance(1);
  }
  expect(penalties.size).toBe(2);
  expect(await fail(penalties, 'b')).toBe(1);
  expect(await fail(penalties, 'a')).toBe(0);
});

test('a kept reservation counts as a failure even if its key was removed to make room', async () => {
  const penalties = new Penalties(POLICY, new FakeClock(), 1);
  const first = await penalties.reserve('a');
  await fail(penalties, 'b');
  if (first.kind === 'reserved') first.keep();
  expect(await penalties.reserve('a')).toMatchObject({ failures: 1, others: 0 });
});

test('forgiven keys are removed at the next failure of any key', async () => {
  const clock = new FakeClock();
  const penalties = new Penalties(POLICY, clock, 10);
  await fail(penalties, 'a');
  clock.advance(100_000);
  await fail(penalties, 'b');
  expect(penalties.size).toBe(1);
});

test('a key without failures is not stored', async () => {
  const penalties = new Penalties(POLICY, new FakeClock(), 10);
  const reserved = await penalties.reserve('a');
  if (reserved.kind === 'reserved') reserved.release();
  expect(penalties.size).toBe(0);
});
