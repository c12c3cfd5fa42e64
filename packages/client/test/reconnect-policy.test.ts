// Tests exponential backoff with full jitter.
import { expect, test } from 'vitest';
import { LONGEST_DELAY_MS, reconnectDelayMs } from '../src/reconnect-policy.js';

test('the upper bound of the delay doubles with every attempt, up to the longest delay', () => {
  const bounds = [0, 1, 2, 3].map((attempt) => reconnectDelayMs(attempt, 1));
  expect(bounds).toEqual([500, 1000, 2000, 4000]);
  expect(reconnectDelayMs(10, 1)).toBe(LONGEST_DELAY_MS);
  expect(reconnectDelayMs(5000, 1)).toBe(LONGEST_DELAY_MS);
});

test('the whole delay is random', () => {
  expect(reconnectDelayMs(3, 0)).toBe(0);
  expect(reconnectDelayMs(3, 0.5)).toBe(2000);
});
