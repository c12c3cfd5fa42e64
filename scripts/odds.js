// What an attacker can expect of guessing join codes, from the limits that hold: the table in SECURITY.md.
import { table } from './tables.js';

/** @typedef {{ free: number, firstWaitSeconds: number, maxWaitSeconds: number, forgiveSeconds: number }} Policy */
/** @typedef {{ waitAfter: (failures: number, policy: Policy) => number, unforgiven: (failures: number, idleSeconds: number, policy: Policy) => number }} Rules */

/**
 * Guesses that one address can make in a time when it guesses whenever it may, but never twice within its pace.
 *
 * @param {Policy} policy
 * @param {Rules} rules the functions by which the server counts
 * @param {number} seconds
 * @param {number} paceSeconds
 */
export function guessesWithin(policy, { waitAfter, unforgiven }, seconds, paceSeconds) {
  let guesses = 0;
  let failures = 0;
  for (let time = 0; time < seconds; ) {
    guesses += 1;
    failures += 1;
    const pause = Math.max(waitAfter(failures, policy), paceSeconds);
    time += pause;
    failures = unforgiven(failures, pause, policy);
  }
  return guesses;
}

/** The most guesses of one address in a time: the best over its paces, from none to that of forgiveness. */
export function mostGuesses(policy, rules, seconds) {
  const paces = Array.from({ length: 21 }, (_, n) => (n * policy.forgiveSeconds) / 20);
  return Math.max(...paces.map((pace) => guessesWithin(policy, rules, seconds, pace)));
}

/** The most tries of one address in its first hour: guesses, and codes made to see whether they are taken. */
export const mostTries = (policy, rules, createsPerHour) =>
  mostGuesses(policy, rules, 3600) + 2 * createsPerHour;

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
