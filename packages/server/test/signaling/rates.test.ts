// The rate of one connection: bursts pass, a sustained excess causes one warning, then counts as abuse.
import { expect, test } from 'vitest';
import { RateMeter, type Verdict } from '../../src/signaling/rates.js';

// Powers of two have exact sums, so the tests can use the exact limits.
const RATE = { messagesPerSecond: 8, bytesPerSecond: 1024 };

/** Sends so many messages at one instant; returns all decisions except `fine`. */
function burst(meter: RateMeter, count: number, at: number, bytes = 1): Exclude<Verdict, 'fine'>[] {
  const verdicts = Array.from({ length: count }, () => meter.take(bytes, at));
  return verdicts.filter((verdict) => verdict !== 'fine') as Exclude<Verdict, 'fine'>[];
}

test('four seconds’ worth of messages may arrive at once', () => {
  expect(burst(new RateMeter(RATE, 0), 32, 0)).toEqual([]);
});

test('above that the sender is warned once, and above twice that it is an abuser', () => {
  const meter = new RateMeter(RATE, 0);
  burst(meter, 32, 0);
  expect(burst(meter, 32, 0)).toEqual(['warn']);
  expect(meter.take(1, 0)).toBe('abuse');
});

test('a steady sender at the rate is never warned', () => {
  const meter = new RateMeter(RATE, 0);
  for (let n = 0; n < 1000; n++) expect(meter.take(1, n * 125)).toBe('fine');
});

test('a sender that slowed down after a warning is warned again', () => {
  const meter = new RateMeter(RATE, 0);
  expect(burst(meter, 40, 0)).toEqual(['warn']);
  expect(burst(meter, 1, 4000)).toEqual([]);
  expect(burst(meter, 40, 4000)).toEqual(['warn']);
});

test('bytes count like messages', () => {
  const meter = new RateMeter(RATE, 0);
  expect(burst(meter, 4, 0, 1024)).toEqual([]);
  expect(burst(meter, 4, 0, 1024)).toEqual(['warn']);
  expect(burst(meter, 1, 0, 1024)).toEqual(['abuse']);
});

test('a steady sender is not warned for messages during a stall of the server', () => {
  const meter = new RateMeter(RATE, 0);
  expect(burst(meter, 1, 1000)).toEqual([]);
  // Ten seconds of messages in one read, of which nine and a half are known to be a stall.
  const verdicts = Array.from({ length: 80 }, () => meter.take(1, 11_000, 9500));
  expect(new Set(verdicts)).toEqual(new Set(['fine']));
  for (let n = 0; n < 1000; n++) expect(meter.take(1, 11_000 + n * 125, 9500)).toBe('fine');
});

test('messages beyond the rate are abuse, even during a stall', () => {
  const meter = new RateMeter(RATE, 0);
  const verdicts = Array.from({ length: 160 }, () => meter.take(1, 11_000, 9500));
  expect(verdicts.at(-1)).toBe('abuse');
});

test('time in which the connection was not read is credited once', () => {
  const meter = new RateMeter(RATE, 0);
  meter.excuse(10_000);
  expect(burst(meter, 80, 10_000)).toEqual([]);
  const late = new RateMeter(RATE, 0);
  late.excuse(10_000);
  expect(burst(late, 1, 10_000)).toEqual([]);
  expect(burst(late, 80, 60_000)).toEqual(['warn', ...Array(16).fill('abuse')]);
});
