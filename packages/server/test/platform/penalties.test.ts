// Penalties: free failures, then a wait that doubles; bounded in number, forgotten in time.
import { expect, test } from 'vitest';
import { MemoryPenalties, waitAfter } from '../../src/platform/penalties.js';
import { FakeClock } from '../support/fake-clock.js';

const POLICY = { free: 3, firstWaitSeconds: 1, maxWaitSeconds: 60, forgiveSeconds: 100 };

async function fail(penalties: MemoryPenalties, key: string, times: number): Promise<void> {
  for (let n = 0; n < times; n++) await penalties.fail(key);
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

test('the wait runs off with time', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 10);
  await fail(penalties, 'a', 6);
  expect(await penalties.waitSeconds('a')).toBe(4);
  clock.advance(1500);
  expect(await penalties.waitSeconds('a')).toBe(3);
  clock.advance(2500);
  expect(await penalties.waitSeconds('a')).toBe(0);
});

test('one key’s failures cost another nothing', async () => {
  const penalties = new MemoryPenalties(POLICY, new FakeClock(), 10);
  await fail(penalties, 'a', 20);
  expect(await penalties.waitSeconds('b')).toBe(0);
});

test('one failure is forgiven for each span without one', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 10);
  await fail(penalties, 'a', 3);
  clock.advance(100_000);
  await penalties.fail('a');
  expect(await penalties.waitSeconds('a')).toBe(0);
  await penalties.fail('a');
  expect(await penalties.waitSeconds('a')).toBe(1);
});

test('somebody who mistypes now and then never waits', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 10);
  for (let n = 0; n < 1000; n++) {
    await penalties.fail('a');
    expect(await penalties.waitSeconds('a')).toBe(0);
    clock.advance(101_000);
  }
});

test('what a flood has failed is forgiven in bounded time', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 10);
  await fail(penalties, 'a', 10_000);
  clock.advance(15 * 100_000);
  await fail(penalties, 'a', 3);
  expect(await penalties.waitSeconds('a')).toBe(0);
});

test('no more keys are kept than the capacity: the one that failed longest ago goes', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 2);
  await fail(penalties, 'a', 5);
  clock.advance(1);
  await fail(penalties, 'b', 5);
  clock.advance(1);
  await fail(penalties, 'c', 5);
  expect(penalties.size).toBe(2);
  expect(await penalties.waitSeconds('a')).toBe(0);
  expect(await penalties.waitSeconds('b')).toBeGreaterThan(0);
});

test('what is forgiven goes with the next failure of anyone', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 10);
  await fail(penalties, 'a', 1);
  clock.advance(100_000);
  await fail(penalties, 'b', 1);
  expect(penalties.size).toBe(1);
});

test('a clock that is set back frees everyone instead of holding them', async () => {
  const clock = new FakeClock();
  const penalties = new MemoryPenalties(POLICY, clock, 10);
  await fail(penalties, 'a', 9);
  clock.set(-3_600_000);
  expect(await penalties.waitSeconds('a')).toBe(0);
});
