// Penalties: free failures, then a wait that doubles; bounded in number, forgotten in time.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { MemoryPenalties, waitAfter } from '../../src/limits/penalties.js';

const POLICY = { free: 3, firstWaitSeconds: 1, maxWaitSeconds: 60, forgiveSeconds: 100 };

async function fail(penalties: MemoryPenalties, key: string): Promise<number> {
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
])('after %i failures one waits %i seconds', (failures, seconds) => {
  expect(waitAfter(failures, POLICY)).toBe(seconds);
});

test('somebody who mistypes now and then never waits', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 10);
  for (let n = 0; n < 1000; n++) {
    expect(await fail(penalties, 'a')).toBe(0);
    clock.advance(101_000);
  }
});

test('no more keys are kept than the capacity: the one that failed longest ago goes', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 2);
  for (const key of ['a', 'b', 'c']) {
    for (let n = 0; n <= POLICY.free; n++) await fail(penalties, key);
    clock.advance(1);
  }
  expect(penalties.size).toBe(2);
  expect(await fail(penalties, 'b')).toBe(1);
  expect(await fail(penalties, 'a')).toBe(0);
});

test('a reservation that is forgotten for want of room is a failure all the same where it is kept', async () => {
  const penalties = new MemoryPenalties(POLICY, new FakeClock(), 1);
  const first = await penalties.reserve('a');
  await fail(penalties, 'b');
  if (first.kind === 'reserved') first.keep();
  expect(await penalties.reserve('a')).toMatchObject({ failures: 1, others: 0 });
});

test('what is forgiven goes with the next failure of anyone', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 10);
  await fail(penalties, 'a');
  clock.advance(100_000);
  await fail(penalties, 'b');
  expect(penalties.size).toBe(1);
});

test('a key that never failed leaves nothing behind', async () => {
  const penalties = new MemoryPenalties(POLICY, new FakeClock(), 10);
  const reserved = await penalties.reserve('a');
  if (reserved.kind === 'reserved') reserved.release();
  expect(penalties.size).toBe(0);
});
