// The system clock: the present, and timers that can be cancelled.
import { expect, test } from 'vitest';
import { assertNever } from '../../src/base/assert-never.js';
import { systemClock } from '../../src/base/clock.js';

test('now is the wall clock', () => {
  expect(Math.abs(systemClock.now() - Date.now())).toBeLessThan(1000);
});

test('a timer fires once, a periodic one until it is cancelled', async () => {
  await new Promise<void>((resolve) => systemClock.after(1, resolve));
  let count = 0;
  await new Promise<void>((resolve) => {
    const cancel = systemClock.every(1, () => {
      if (++count < 3) return;
      cancel();
      cancel();
      resolve();
    });
  });
  expect(count).toBe(3);
});

test('a cancelled timer does not fire', async () => {
  let fired = false;
  const cancel = systemClock.after(1, () => {
    fired = true;
  });
  cancel();
  await new Promise<void>((resolve) => systemClock.after(5, resolve));
  expect(fired).toBe(false);
});

test('a case that should not exist is named by its type, not its value', () => {
  expect(() => assertNever('SECRET' as never)).toThrow(/^unexpected case: string$/);
});
