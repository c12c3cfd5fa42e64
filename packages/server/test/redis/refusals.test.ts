// A Redis at its memory limit is reported once, without flicker, and asked only until it takes writes again.
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { watchRefusals } from '../../src/redis/refusals.js';
import { captureLog } from '../support/captured-log.js';

test('a Redis that alternates between full and not full counts as full', async () => {
  const clock = new FakeClock();
  const { log, lines } = captureLog();
  let asked = 0;
  const probe = async () => {
    asked += 1;
  };
  const { noticed, check } = watchRefusals({ probe }, clock, log);
  const pass = async (seconds: number) => {
    for (let n = 0; n < seconds; n++) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  await pass(60);
  expect(asked).toBe(0);
  for (let n = 0; n < 20; n++) {
    noticed('memory');
    await check();
    await pass(3);
  }
  expect(lines()).toHaveLength(1);
  asked = 0;
  await pass(60);
  expect(asked).toBe(3);
  expect(lines().map(({ msg }) => msg)).toEqual([
    'Redis is full: operations that need memory are refused',
    'Redis takes writes again',
  ]);
});
