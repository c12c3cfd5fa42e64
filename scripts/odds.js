// What an attacker can expect of guessing join codes, from the limits that hold: the table in SECURITY.md.
import { table } from './tables.js';

/** @typedef {{ free: number, firstWaitSeconds: number, maxWaitSeconds: number, memorySeconds: number }} Policy */

/**
 * Guesses that one address can make in a time when it guesses whenever it may, waits the least, and first lets its
 * failures be forgotten once it has failed so many times.
 *
 * @param {Policy} policy
 * @param {(failures: number, policy: Policy) => number} waitAfter
 * @param {number} seconds
 * @param {number} [restAfter] failures after which it rests; never, unless given
 */
export function guessesWithin(policy, waitAfter, seconds, restAfter = Number.POSITIVE_INFINITY) {
  let guesses = 0;
  let failures = 0;
  for (let time = 0; time < seconds; ) {
    guesses += 1;
    failures += 1;
    if (failures >= restAfter) {
      time += policy.memorySeconds;
      failures = 0;
    } else {
      time += waitAfter(failures, policy);
    }
  }
  return guesses;
}

/** The most guesses of one address in a time: the best over all moments to rest. */
export function mostGuesses(policy, waitAfter, seconds) {
  const rests = Array.from({ length: policy.free + 40 }, (_, n) => n + 1);
  return Math.max(
    guessesWithin(policy, waitAfter, seconds),
    ...rests.map((rest) => guessesWithin(policy, waitAfter, seconds, rest)),
  );
}

/** The most tries of one address in its first hour: guesses, and codes made to see whether they are taken. */
export const mostTries = (policy, waitAfter, createsPerHour) =>
  mostGuesses(policy, waitAfter, 3600) + 2 * createsPerHour;

/** Chance that at least one of so many guesses hits a live code. */
export const chance = (guesses, liveCodes, digits) =>
  -Math.expm1(guesses * Math.log1p(-liveCodes / 10 ** digits));

export const LIVE_CODES = [10, 1000, 50_000];
export const ADDRESSES = [1, 1000];
export const DIGITS = [6, 7, 8, 9, 10, 11, 12];

/** A chance as a person reads it: two digits that count, and never a flat zero or one. */
export function shown(probability) {
  if (probability > 0.999) return '> 99.9 %';
  if (probability >= 0.995) return '> 99 %';
  const percent = probability * 100;
  if (percent >= 0.01) return `${Number(percent.toPrecision(2))} %`;
  const [digits, exponent] = (1 / probability).toExponential(0).split('e+');
  return `1 in ${(Number(digits) * 10 ** Number(exponent)).toLocaleString('en-US')}`;
}

/** @param {number} guesses what one address can try in an hour */
export const oddsTable = (guesses) =>
  table(
    [
      'digits',
      ...ADDRESSES.flatMap((addresses) =>
        LIVE_CODES.map(
          (live) =>
            `${addresses === 1 ? 'one address' : `${addresses.toLocaleString('en-US')} addresses`}, ${live.toLocaleString('en-US')} live`,
        ),
      ),
    ],
    DIGITS.map((digits) => [
      String(digits),
      ...ADDRESSES.flatMap((addresses) =>
        LIVE_CODES.map((live) => shown(chance(guesses * addresses, live, digits))),
      ),
    ]),
  );
