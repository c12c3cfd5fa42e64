// The odds in SECURITY.md: the attack, played against the limits that hold, and the table computed from them.
import { expect, test } from 'vitest';
import { ACCEPT_GUESSES } from '../packages/server/src/pairing/guesses.js';
import { SETTINGS } from '../packages/server/src/platform/config.js';
import {
  MemoryPenalties,
  unforgiven,
  waitAfter,
} from '../packages/server/src/platform/penalties.js';
import { MemoryQuota } from '../packages/server/src/platform/quota.js';
import { FakeClock } from '../packages/server/test/support/fake-clock.js';
import {
  chance,
  guessesWithin,
  mostGuesses,
  mostTries,
  oddsTable,
  shown,
} from '../scripts/odds.js';
import { read, section, tableRows } from './support/papers.js';

const HOUR = 3600;
const RULES = { waitAfter, unforgiven };
const CREATES_PER_HOUR = SETTINGS.get('MAX_CREATES_PER_HOUR')?.default as number;
const security = read('SECURITY.md');
const guessing = section(security, '## Guessing join codes');

/** Plays one address against the penalties themselves: guesses whenever it may, but never twice within its pace. */
async function play(seconds: number, paceSeconds: number): Promise<number> {
  const clock = new FakeClock();
  const end = clock.now() + seconds * 1000;
  const penalties = new MemoryPenalties(ACCEPT_GUESSES, clock, 100);
  let guesses = 0;
  while (clock.now() < end) {
    await penalties.fail('attacker');
    guesses += 1;
    clock.advance(Math.max(await penalties.waitSeconds('attacker'), paceSeconds) * 1000);
  }
  return guesses;
}

test('the computed number of guesses is what the penalties let through, at every pace', async () => {
  for (const pace of [0, 9, 45, 90, 171, 180]) {
    for (const seconds of [HOUR, 20 * HOUR]) {
      expect(await play(seconds, pace), `${seconds} s, one in ${pace} s`).toBe(
        guessesWithin(ACCEPT_GUESSES, RULES, seconds, pace),
      );
    }
  }
});

test('SECURITY.md states the guesses of the first hour, and of a later one', () => {
  const first = mostGuesses(ACCEPT_GUESSES, RULES, HOUR);
  const later = mostGuesses(ACCEPT_GUESSES, RULES, 1000 * HOUR) / 1000;
  expect(guessing).toContain(
    `${first} guesses in the first hour, and ${Math.round(later)} in each later`,
  );
  expect(guessing).toContain(`may fail ${ACCEPT_GUESSES.free} times`);
  expect(guessing).toContain(`up to ${ACCEPT_GUESSES.maxWaitSeconds / 60} minutes`);
  expect(guessing).toContain(`every ${ACCEPT_GUESSES.forgiveSeconds / 60} minutes`);
});

test('the quota of creates lets twice its hourly number through in the first hour', async () => {
  const clock = new FakeClock();
  const quota = new MemoryQuota(CREATES_PER_HOUR, clock, 10);
  const end = clock.now() + HOUR * 1000;
  let creates = 0;
  while (clock.now() < end) {
    const wait = await quota.take('attacker');
    if (wait === 0) creates += 1;
    else clock.advance(wait * 1000);
  }
  expect(creates).toBeLessThanOrEqual(2 * CREATES_PER_HOUR);
  expect(guessing).toContain(`may make ${CREATES_PER_HOUR} codes at once`);
  expect(guessing).toContain(`makes ${2 * CREATES_PER_HOUR} more tries`);
});

test('SECURITY.md has the table that follows from the limits', () => {
  const computed = oddsTable(mostTries(ACCEPT_GUESSES, RULES, CREATES_PER_HOUR));
  expect(tableRows(guessing)).toEqual(tableRows(computed));
});

test('a chance is that of at least one hit, and is shown without a flat zero or one', () => {
  expect(chance(1, 10, 6)).toBeCloseTo(1e-5, 12);
  expect(chance(33, 50_000, 6)).toBeCloseTo(1 - 0.95 ** 33, 12);
  expect(shown(chance(33_000, 50_000, 6))).toBe('> 99.9 %');
  expect(shown(0.998)).toBe('> 99 %');
  expect(shown(0.994)).toBe('99 %');
  expect(shown(0.0325)).toBe('3.3 %');
  expect(shown(3.3e-10)).toBe('1 in 3,000,000,000');
});
