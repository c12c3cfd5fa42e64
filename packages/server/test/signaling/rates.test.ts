// The rate of one connection: bursts pass, a sustained excess causes one warning, then counts as abuse.
//
// Steps of the table; times are in milliseconds:
//
//     40 at 0 = fine warn     40 messages of one byte; equal verdicts in a row are written once
//     1000 from 0 = fine      a steady sender at the rate
//     … of 1024 bytes …       larger messages
//     … stalled 9500 …        the server has stalled for this time just before
//     excused 10000           time in which the connection was not read
import { rowsOf, stepsOf } from '@couplet/testkit/stories';
import { expect, test } from 'vitest';
import { RateMeter } from '../../src/signaling/rates.js';

// Powers of two have exact sums, so the tests can use the exact limits.
const RATE = { messagesPerSecond: 8, bytesPerSecond: 1024 };

test.each(
  rowsOf(`
  four seconds’ worth of messages may arrive at once: 32 at 0 = fine
  beyond it there is one warning, and beyond twice that abuse: 65 at 0 = fine warn fine abuse
  a steady sender at the rate is never warned: 1000 from 0 = fine
  after a pause there is a new warning: 40 at 0 = fine warn fine; 41 at 4000 = fine warn fine
  bytes count like messages: 4 of 1024 bytes at 0 = fine; 5 of 1024 bytes at 0 = warn fine abuse
  a steady sender is not warned for a stall of the server: 1 at 1000 = fine;
      80 at 11000 stalled 9500 = fine; 1000 from 11000 stalled 9500 = fine
  messages beyond the rate are abuse, even during a stall:
      160 at 11000 stalled 9500 = fine warn fine abuse
  time in which the connection was not read is credited: excused 10000; 80 at 10000 = fine
  it is credited once: excused 10000; 1 at 10000 = fine; 80 at 60000 = fine warn fine abuse
`),
)('%s', (_title, script) => {
  const meter = new RateMeter(RATE, 0);
  for (const step of stepsOf(script)) {
    const [given = '', expected] = step.split(' = ');
    const numberAfter = (word: string) =>
      Number(new RegExp(`${word} (\\d+)`).exec(given)?.[1] ?? Number.NaN);
    if (expected === undefined) meter.excuse(numberAfter('excused'));
    else {
      const isSteady = given.includes('from');
      const verdicts = Array.from({ length: Number.parseInt(given, 10) }, (_, n) =>
        meter.take(
          numberAfter('of') || 1,
          numberAfter(isSteady ? 'from' : 'at') + (isSteady ? n * 125 : 0),
          numberAfter('stalled') || 0,
        ),
      );
      const runs = verdicts.filter((verdict, n) => verdict !== verdicts[n - 1]);
      expect(`${given} = ${runs.join(' ')}`).toBe(step);
    }
  }
});
