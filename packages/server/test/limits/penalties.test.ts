// Penalties in memory: the longest wait, bounded size, and removal over time. Their rules are in wire/guessing.test.ts.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { Penalties } from '../../src/limits/penalties.js';

const POLICY = { free: 3, firstWaitSeconds: 1, maxWaitSeconds: 60, forgiveSeconds: 100 };

test('after any number of failures, the wait is at most the longest', () => {
  const penalties = new Penalties(POLICY, new FakeClock(), 10);
  for (let n = 0; n < 100; n++) penalties.fail('a');
  expect(penalties.wait('a')).toBe(POLICY.maxWaitSeconds);
});

test('beyond the capacity, the key with the oldest failure is removed', () => {
  const clock = new FakeClock();
  const penalties = new Penalties(POLICY, clock, 2);
  for (const key of ['a', 'b', 'c']) {
    for (let n = 0; n <= POLICY.free; n++) penalties.fail(key);
    clock.advance(1);
  }
  expect(penalties.size).toBe(2);
  expect(penalties.wait('b')).toBe(1);
  expect(penalties.wait('a')).toBe(0);
});

test('forgiven keys are removed at the next failure of any key', () => {
  const clock = new FakeClock();
  const penalties = new Penalties(POLICY, clock, 10);
  penalties.fail('a');
  clock.advance(100_000);
  expect(penalties.failures('a')).toBe(0);
  penalties.fail('b');
  expect(penalties.size).toBe(1);
});
