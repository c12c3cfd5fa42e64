// Computes an attacker's chance to guess a join code within the rate limits: the table in SECURITY.md.
import { table } from './tables.js';

/** @typedef {{ free: number, firstWaitSeconds: number, maxWaitSeconds: number, forgiveSeconds: number }} Policy */
/** @typedef {{ waitAfter: (failures: number, policy: Policy) => number, unforgiven: (failures: number, idleSeconds: number, policy: Policy) => number }} Rules */

/**
 * Returns the pauses, in seconds, before each guess after the first, with which one address makes the most guesses in a
 * time. Only the end of a wait or a forgiven failure allows a further guess, so the best plan pauses until one of these.
 *
 * @param {Policy} policy
 * @param {Rules} rules the functions with which the server counts failures
 * @param {number} seconds
 * @returns {number[]}
 */
export function bestPlan(policy, { waitAfter, unforgiven }, seconds) {
  /** @type {Map<string, number[]>} */
  const known = new Map();
  /** @type {(failures: number, left: number) => number[]} */
  const from = (failures, left) => {
    const name = `${failures} ${left}`;
    const found = known.get(name);
    if (found) return found;
    const wait = waitAfter(failures, policy);
    const forgiven = Array.from({ length: failures }, (_, n) => (n + 1) * policy.forgiveSeconds);
    /** @type {number[]} */
    let best = [];
    for (const pause of [wait, ...forgiven.filter((after) => after > wait)]) {
      if (pause >= left) continue;
      const plan = [pause, ...from(unforgiven(failures, pause, policy) + 1, left - pause)];
      if (plan.length > best.length) best = plan;
    }
    known.set(name, best);
    return best;
  };
  return from(1, seconds);
}

/** The maximum number of guesses of one address in a time. */
export const mostGuesses = (policy, rules, seconds) => bestPlan(policy, rules, seconds).length + 1;

/** The maximum number of tries of one address in its first hour: guesses, plus codes created to see if they are in use. */
export const mostTries = (policy, rules, createsPerHour) =>
  mostGuesses(policy, rules, 3600) + 2 * createsPerHour;

/** The probability that at least one guess hits a live code. */
export const chance = (guesses, liveCodes, digits) =>
  -Math.expm1(guesses * Math.log1p(-liveCodes / 10 ** digits));

export const LIVE_CODES = [10, 1000, 50_000];
export const ADDRESSES = [1, 1000];
/** Secrets of a code of a verified pairing: an attacker has one guess after it has hit a live code. */
const SECRETS = 10 ** 5;
export const DIGITS = [6, 7, 8, 9, 10, 11, 12];

/** Formats a probability with two significant digits, never as zero or one. */
export function shown(probability) {
  if (probability > 0.999) return '> 99.9 %';
  if (probability >= 0.995) return '> 99 %';
  const percent = probability * 100;
  if (percent >= 0.01) return `${Number(percent.toPrecision(2))} %`;
  const [digits, exponent] = (1 / probability).toExponential(0).split('e+');
  return `1 in ${(Number(digits) * 10 ** Number(exponent)).toLocaleString('en-US')}`;
}

/** @param {number} guesses tries of one address in an hour */
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
      '1,000 addresses, 50,000 live, verified',
    ],
    DIGITS.map((digits) => [
      String(digits),
      ...ADDRESSES.flatMap((addresses) =>
        LIVE_CODES.map((live) => shown(chance(guesses * addresses, live, digits))),
      ),
      shown(chance(guesses * 1000, 50_000 / SECRETS, digits)),
    ]),
  );
