// Tests the timers of the client.
import { expect, test } from 'vitest';
import { systemClock } from '../src/clock.js';

test('a delay above the longest timer is shortened to it, not to zero', async () => {
  let called = false;
  const cancel = systemClock.after(2 ** 40, () => {
    called = true;
  });
  // A timer without a delay would fire before this one.
  await new Promise<void>((resolve) => systemClock.after(5, resolve));
  cancel();
  expect(called).toBe(false);
});
