// A node reports each change of refusals once, without flicker at the memory limit.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import type { Refusal } from '../../src/redis/client.js';
import { watchRefusals } from '../../src/redis/refusals.js';
import { captureLog } from '../support/captured-log.js';

function watch() {
  const clock = new FakeClock();
  const log = captureLog();
  const state = { refusals: [] as Refusal[], asked: 0 };
  const redis = {
    async probe() {
      state.asked += 1;
      for (const cause of state.refusals) watched.noticed(cause);
    },
  };
  const watched = watchRefusals(redis, clock, log.log);
  const pass = async (seconds: number) => {
    for (let n = 0; n < seconds; n++) {
      clock.advance(1000);
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  const told = () => log.lines().map(({ msg, cause }) => [msg, cause].join(' ').trim());
  return { ...watched, state, pass, told };
}

const FULL = 'Redis is full: operations that need memory are refused';
const ENDED = 'Redis takes writes again memory';

test('Redis is asked every second, from the first refusal until nothing is refused', async () => {
  const { noticed, state, pass, told, has, note } = watch();
  await pass(60);
  expect(state.asked).toBe(0);
  state.refusals = ['memory'];
  for (let n = 0; n < 100; n++) noticed('memory');
  expect([has('memory'), note()]).toEqual([true, FULL]);
  await pass(10);
  expect(state.asked).toBe(10);
  state.refusals = [];
  await pass(10);
  expect([has('memory'), note()]).toEqual([false, undefined]);
  const { asked } = state;
  await pass(60);
  expect(state.asked).toBe(asked);
  expect(told()).toEqual([FULL, ENDED]);
});

test('a Redis that alternates between full and not full counts as full', async () => {
  const { noticed, pass, told, check } = watch();
  for (let n = 0; n < 20; n++) {
    noticed('memory');
    await check();
    await pass(3);
  }
  expect(told()).toEqual([FULL]);
  await pass(6);
  expect(told()).toEqual([FULL, ENDED]);
});

test('after close, nothing is asked', async () => {
  const { noticed, close, state, pass } = watch();
  noticed('memory');
  close();
  await pass(10);
  expect(state.asked).toBe(0);
});
