// Stalls of the event loop are distinguished from a busy event loop.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { Stalls } from '../../src/limits/event-loop-stalls.js';

test('a running event loop has no stalls', () => {
  const clock = new FakeClock();
  const stalls = new Stalls(clock);
  clock.advance(60_000);
  clock.pause(400);
  clock.advance(1000);
  expect(stalls.total(clock.monotonic())).toBe(0);
});

test('a stall counts once, and before any timer has fired', () => {
  const clock = new FakeClock();
  const stalls = new Stalls(clock);
  clock.advance(10_000);
  clock.pause(5_000);
  const during = stalls.total(clock.monotonic());
  expect(during).toBe(4_500);
  clock.advance(60_000);
  expect(stalls.total(clock.monotonic())).toBe(during);
});

test('the longest stall is reported once, also before any timer has fired', () => {
  const clock = new FakeClock();
  const stalls = new Stalls(clock);
  clock.advance(10_000);
  clock.pause(3_000);
  expect(stalls.takeLongest()).toBe(2_750);
  clock.advance(1_000);
  clock.pause(2_000);
  clock.advance(1_000);
  expect(stalls.takeLongest()).toBeGreaterThanOrEqual(1_750);
  expect(stalls.takeLongest()).toBe(0);
});
