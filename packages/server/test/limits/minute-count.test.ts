// The count of a minute in memory.
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { MinuteCount } from '../../src/limits/minute-count.js';

test('simultaneous events get different numbers, and a released number is available again in its minute', async () => {
  const clock = new FakeClock();
  const minute = new MinuteCount(clock);
  const counted = await Promise.all(Array.from({ length: 20 }, () => minute.reserve()));
  expect(counted.map(({ count }) => count)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
  for (const { release } of counted.slice(0, 15)) release();
  expect((await minute.reserve()).count).toBe(6);
  clock.advance(60_000);
  for (const { release } of counted.slice(15)) release();
  expect((await minute.reserve()).count).toBe(1);
});
