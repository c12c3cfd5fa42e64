// The platform's timers, as the client sets them.
import { expect, test } from 'vitest';
import { systemClock } from '../src/clock.js';

test('a delay longer than a timer can be is as long as one can be, not none', async () => {
  let called = false;
  const cancel = systemClock.after(2 ** 40, () => {
    called = true;
  });
  // A timer that was set for nothing would be due before this one.
  await new Promise<void>((resolve) => systemClock.after(5, resolve));
  cancel();
  expect(called).toBe(false);
});
