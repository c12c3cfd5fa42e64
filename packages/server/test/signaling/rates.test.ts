// The rate of one connection: bursts pass, a sustained excess is warned about once, and then is abuse.
import { expect, test } from 'vitest';
import { RateMeter, type Verdict } from '../../src/signaling/rates.js';

// Powers of two: their sums are exact, so that the tests can stand right at the edge.
const RATE = { messagesPerSecond: 8, bytesPerSecond: 1024 };

/** Sends so many messages at one instant; returns what was said of them other than `fine`. */
function burst(meter: RateMeter, count: number, at: number, bytes = 1): Exclude<Verdict, 'fine'>[] {
  const verdicts = Array.from({ length: count }, () => meter.take(bytes, at));
  return verdicts.filter((verdict) => verdict !== 'fine') as Exclude<Verdict, 'fine'>[];
}

test('four seconds’ worth may come at once', () => {
  expect(burst(new RateMeter(RATE, 0), 32, 0)).toEqual([]);
});

test('beyond that the sender is warned once, and at twice that it is an abuser', () => {
  const meter = new RateMeter(RATE, 0);
  burst(meter, 32, 0);
  expect(burst(meter, 32, 0)).toEqual(['warn']);
  expect(meter.take(1, 0)).toBe('abuse');
});

test('a steady sender at the rate is never warned', () => {
  const meter = new RateMeter(RATE, 0);
  for (let n = 0; n < 1000; n++) expect(meter.take(1, n * 125)).toBe('fine');
});

test('who has slowed down after a warning is warned anew', () => {
  const meter = new RateMeter(RATE, 0);
  expect(burst(meter, 40, 0)).toEqual(['warn']);
  expect(burst(meter, 1, 4000)).toEqual([]);
  expect(burst(meter, 40, 4000)).toEqual(['warn']);
});

test('bytes count as messages do', () => {
  const meter = new RateMeter(RATE, 0);
  expect(burst(meter, 4, 0, 1024)).toEqual([]);
  expect(burst(meter, 4, 0, 1024)).toEqual(['warn']);
  expect(burst(meter, 1, 0, 1024)).toEqual(['abuse']);
});
