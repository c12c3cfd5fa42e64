// Limits failed guesses of join codes, per address and for all addresses together, and the creates of each address.
//
// Accepts and creates of an address share one budget: a 404 to an accept and a 409 to a create both reveal whether a
// code is live. A check names the device that made the code, so its answer reveals nothing to a client without that
// id. Checks have a wider budget of their own, because an app that was inactive for hours may check many expired codes.
import type { Clock } from '../base/clock.js';
import { Limited } from '../base/failures.js';
import { Penalties, type PenaltyPolicy } from '../limits/penalties.js';
import { Quota } from '../limits/quota.js';
import { Turns } from '../limits/turns.js';
import type { Metrics } from '../observability/metrics.js';
import type { Config } from '../settings/config.js';
import type { Guess, PairingStore } from './store.js';

export const ACCEPT_GUESSES: PenaltyPolicy = {
  free: 20,
  firstWaitSeconds: 1,
  maxWaitSeconds: 900,
  forgiveSeconds: 180,
};

export const CHECK_GUESSES: PenaltyPolicy = {
  free: 120,
  firstWaitSeconds: 1,
  maxWaitSeconds: 60,
  forgiveSeconds: 5,
};

/**
 * `atOnce`: how many attempts of one address may run at once. Enough of them share a commit, but they cannot fill the groups of
 * the store. `waiting`: how many attempts may wait for their turn.
 */
export const TURNS = { accept: { atOnce: 16, waiting: 256 }, check: { atOnce: 16, waiting: 1024 } };

export type GuessKind = keyof typeof TURNS;

/** The requests that may be failed guesses, each with its budget, its policy, and the outcome that is a failure. */
export const GUESSES = {
  accept: { budget: 'accept', policy: ACCEPT_GUESSES, failure: 'not_found_or_expired' },
  // 409 reveals that the code is live, so an attacker could find other devices' codes by creating codes.
  create: { budget: 'accept', policy: ACCEPT_GUESSES, failure: 'conflict' },
  check: { budget: 'check', policy: CHECK_GUESSES, failure: 'not_found_or_expired' },
} as const satisfies Record<string, { budget: GuessKind; policy: PenaltyPolicy; failure: string }>;

export type GuessRequest = keyof typeof GUESSES;

/** An attempt that may turn out to be a failed guess. */
export interface Attempt<T extends { kind: string }> {
  readonly address: string;
  /** Whether the client has disconnected. An attempt that still waits for its turn is then dropped. */
  readonly isGone: () => boolean;
  /**
   * Runs the store operation. If it rejects, the client learns nothing about the code.
   *
   * @param guess - passed on to a store that keeps the budgets itself
   */
  readonly run: (guess?: Guess) => Promise<T>;
}

export const guessCounters = (metrics: Metrics) => ({
  failures: metrics.counter(
    'couplet_failed_guesses_total',
    'Failed accepts and checks; a create of a live code counts as a failed accept.',
    'kind',
    Object.keys(TURNS) as GuessKind[],
  ),
  refusals: metrics.counter<NonNullable<Limited['guessLimit']>>(
    'couplet_refused_guesses_total',
    'Accepts, checks and creates answered 429, by cause. address: the address must wait. ceiling: MAX_FAILED_GUESSES_PER_MINUTE is reached. queue: too many requests of the address wait for their turn.',
    'cause',
    ['address', 'ceiling', 'queue'],
  ),
});

export type GuessLimits = ReturnType<typeof guessLimits>;

/** The limits of guesses and requests, from the settings. */
export const guessLimits = (config: Config) => ({
  /** Creates of an address. */
  createsPerHour: config.maxCreatesPerHour,
  /** Requests of an address with an Idempotency-Key. */
  keyedPerHour: config.maxKeyedRequestsPerHour,
  /** Maximum of failed guesses per minute, all addresses together. */
  ceiling: config.maxFailedGuessesPerMinute,
});

export type Guesses = ReturnType<typeof createGuesses>;

/** Uses the budgets of the store if it has `failedGuesses`, and otherwise keeps them in this process. */
export function createGuesses(
  { failedGuesses }: Pick<PairingStore, 'failedGuesses'>,
  limits: Omit<GuessLimits, 'keyedPerHour'>,
  clock: Clock,
  { failures, refusals }: ReturnType<typeof guessCounters>,
) {
  const own = failedGuesses ? undefined : nodeBudgets(limits, clock);
  const turnsOf = (budget: GuessKind) => {
    const { atOnce, waiting } = TURNS[budget];
    const most = (address: string) => own?.mostAtOnce(budget, address) ?? atOnce;
    return new Turns((address) => Math.min(atOnce, most(address)), waiting);
  };
  const lines = { accept: turnsOf('accept'), check: turnsOf('check') };
  return {
    /**
     * Runs an attempt when its turn comes. Rejects with `Limited` without a call to the store, or if the attempt failed
     * beyond the ceiling: the client then does not learn of the failure.
     */
    async run<T extends { kind: string }>(request: GuessRequest, attempt: Attempt<T>): Promise<T> {
      const { address, isGone, run } = attempt;
      const { budget } = GUESSES[request];
      const turns = lines[budget];
      const failed = () => {
        failures[budget] += 1;
      };
      try {
        const entered = turns.enter(address, isGone);
        if (!(entered === true || (await entered))) throw new Limited(1, 'queue');
        try {
          return await (own ? own.attempt(request, attempt, failed) : run({ address, failed }));
        } finally {
          turns.leave(address);
        }
      } catch (error) {
        if (error instanceof Limited && error.guessLimit) refusals[error.guessLimit] += 1;
        throw error;
      }
    },

    /** Whether the failures of this minute have reached the ceiling, a sign of guessing on a large scale. */
    async alarmed(): Promise<boolean> {
      const count = own ? own.failures() : await failedGuesses?.(clock.now());
      return (count ?? 0) >= limits.ceiling;
    },

    /** Addresses with failed guesses that are not yet forgiven; absent if the store keeps the budgets. */
    guessers: own?.guessers,
  };
}

/** Maximum number of addresses with budgets in memory; each takes about a hundred bytes. */
export const MAX_ADDRESSES = 100_000;

const MINUTE_MS = 60_000;

/** Budgets of this process. */
function nodeBudgets({ createsPerHour, ceiling }: Omit<GuessLimits, 'keyedPerHour'>, clock: Clock) {
  const penalties = {
    accept: new Penalties(ACCEPT_GUESSES, clock, MAX_ADDRESSES),
    check: new Penalties(CHECK_GUESSES, clock, MAX_ADDRESSES),
  };
  const creates = new Quota(createsPerHour, clock, MAX_ADDRESSES);
  /** Failures of the current minute of the monotonic clock. */
  let failed = { minute: 0, count: 0 };
  /** Attempts whose outcome is unknown. */
  let running = 0;
  const failures = () => {
    const minute = Math.floor(clock.monotonic() / MINUTE_MS);
    if (minute !== failed.minute) failed = { minute, count: 0 };
    return failed;
  };
  const beyondCeiling = () =>
    new Limited(Math.ceil((MINUTE_MS - (clock.monotonic() % MINUTE_MS)) / 1000), 'ceiling');
  /** Whether the failures reach the ceiling if all running attempts fail. */
  const isNearCeiling = () => failures().count + running >= ceiling;

  return {
    /**
     * A lower limit than that of {@link TURNS} for the attempts of an address that run at once. Even if all of them fail,
     * the address learns no more than from attempts in sequence.
     */
    mostAtOnce(budget: GuessKind, address: string): number {
      if (isNearCeiling()) return 1;
      return Math.max(1, GUESSES[budget].policy.free + 1 - penalties[budget].failures(address));
    },

    async attempt<T extends { kind: string }>(
      request: GuessRequest,
      { address, run }: Attempt<T>,
      onFailed: () => void,
    ): Promise<T> {
      const { budget, failure } = GUESSES[request];
      const wait = penalties[budget].wait(address);
      if (wait > 0) throw new Limited(wait, 'address');
      // An address without failures gets one try, so that guesses from other addresses do not block a correct code.
      if (isNearCeiling() && penalties[budget].failures(address) > 0) throw beyondCeiling();
      const isCreate = request === 'create';
      const waitToCreate = isCreate ? creates.take(address) : 0;
      if (waitToCreate > 0) throw new Limited(waitToCreate, 'address');
      running += 1;
      try {
        const outcome = await run();
        if (outcome.kind !== failure) return outcome;
        penalties[budget].fail(address);
        failures().count += 1;
        onFailed();
        if (failures().count > ceiling) throw beyondCeiling();
        return outcome;
      } catch (error) {
        // The store has rejected the create, and its client retries until the store answers.
        if (isCreate && !(error instanceof Limited)) creates.giveBack(address);
        throw error;
      } finally {
        running -= 1;
      }
    },

    failures: () => failures().count,
    guessers: () => ({ accept: penalties.accept.size, check: penalties.check.size }),
  };
}
