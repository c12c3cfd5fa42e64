// Limits failed guesses of join codes, per address and for all addresses together, and the creates of each address.
//
// Accepts and creates of an address share one budget: a 404 to an accept and a 409 to a create both reveal whether a
// code is live. A check names the device that made the code, so its answer reveals nothing to a client without that
// id. Checks have a wider budget of their own, because an app that was inactive for hours may check many expired codes.
import type { Clock } from '../base/clock.js';
import { Limited } from '../base/failures.js';
import { Turns } from '../limits/in-flight.js';
import { type MinuteCount, untilNextMinute } from '../limits/minute-count.js';
import type { Penalties, PenaltyPolicy } from '../limits/penalties.js';
import type { Quota } from '../limits/quota.js';
import type { Metrics } from '../observability/metrics.js';
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
 * `atOnce`: attempts of one address that may run at once. It is far below the free failures, so that attempts that
 * succeed do not use them up. `waiting`: attempts that may wait for their turn.
 */
export const TURNS = { accept: { atOnce: 4, waiting: 256 }, check: { atOnce: 16, waiting: 1024 } };

export type GuessKind = keyof typeof TURNS;

/** The requests that may be failed guesses, each with its budget, its policy, and the outcome that is a failure. */
export const GUESSES = {
  accept: { budget: 'accept', policy: ACCEPT_GUESSES, failure: 'not_found_or_expired' },
  // 409 reveals that the code is live, so an attacker could find other devices' codes by creating codes.
  create: { budget: 'accept', policy: ACCEPT_GUESSES, failure: 'conflict' },
  check: { budget: 'check', policy: CHECK_GUESSES, failure: 'not_found_or_expired' },
} as const satisfies Record<string, { budget: GuessKind; policy: PenaltyPolicy; failure: string }>;

export type GuessRequest = keyof typeof GUESSES;

/** Why an attempt was refused: its address must wait, all failures have reached the ceiling, or the queue is full. */
export type RefusalCause = 'address' | 'ceiling' | 'queue';

/** An attempt refused with 429. */
export class Refused extends Limited {
  readonly reason: RefusalCause;
  /** Whether only running attempts block it: once they succeed, it may be admitted. */
  readonly isBusy: boolean;

  constructor(reason: RefusalCause, seconds: number, isBusy = false) {
    super(seconds);
    this.reason = reason;
    this.isBusy = isBusy;
  }
}

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

/** Counts guesses. */
export interface GuessBudgets {
  /**
   * Runs an attempt. Rejects with `Refused` without a call to the store, or if the attempt failed beyond the ceiling:
   * the client then does not learn of the failure.
   *
   * @param failed - called if the attempt counts as a failure
   */
  attempt<T extends { kind: string }>(
    request: GuessRequest,
    attempt: Attempt<T>,
    failed: () => void,
  ): Promise<T>;
  /** Failed guesses of all addresses in this minute. */
  failures(): Promise<number>;
}

export interface Guesses {
  /** Runs an attempt when its turn comes, or rejects with `Limited`. */
  run<T extends { kind: string }>(request: GuessRequest, attempt: Attempt<T>): Promise<T>;
  /** Whether the failures of this minute have reached the ceiling, a sign of guessing on a large scale. */
  alarmed(): Promise<boolean>;
}

export const guessCounters = (metrics: Metrics) => ({
  failures: metrics.counter(
    'couplet_failed_guesses_total',
    'Failed accepts and checks; a create of a live code counts as a failed accept.',
    'kind',
    Object.keys(TURNS) as GuessKind[],
  ),
  refusals: metrics.counter<RefusalCause>(
    'couplet_refused_guesses_total',
    'Accepts, checks and creates answered 429, by cause. address: the address must wait. ceiling: MAX_FAILED_GUESSES_PER_MINUTE is reached. queue: too many requests of the address wait for their turn.',
    'cause',
    ['address', 'ceiling', 'queue'],
  ),
});

/** @param ceiling - maximum of failed guesses per minute, all addresses together */
export function createGuesses(
  budgets: GuessBudgets,
  ceiling: number,
  { failures, refusals }: ReturnType<typeof guessCounters>,
): Guesses {
  const lines = {
    accept: new Turns(TURNS.accept.atOnce, TURNS.accept.waiting),
    check: new Turns(TURNS.check.atOnce, TURNS.check.waiting),
  };
  const run = async <T extends { kind: string }>(
    request: GuessRequest,
    attempt: Attempt<T>,
  ): Promise<T> => {
    const { address, isGone } = attempt;
    const { budget } = GUESSES[request];
    const turns = lines[budget];
    const entered = turns.enter(address, isGone);
    let hasTurn = entered === true || (await entered);
    try {
      while (hasTurn) {
        try {
          return await budgets.attempt(request, attempt, () => {
            failures[budget] += 1;
          });
        } catch (error) {
          const isBusy = error instanceof Refused && error.isBusy;
          if (!isBusy || turns.isAlone(address)) throw error;
        }
        // The running attempts end soon, and most succeed; this one may then be admitted.
        hasTurn = await turns.again(address, isGone);
      }
      throw new Refused('queue', 1);
    } catch (error) {
      if (error instanceof Refused) refusals[error.reason] += 1;
      throw error;
    } finally {
      if (hasTurn) turns.leave(address);
    }
  };
  return {
    run,
    alarmed: async () => (await budgets.failures()) >= ceiling,
  };
}

/** Budgets for a store that keeps them itself and counts an attempt in the transaction of its effect. */
export const storeBudgets = (
  failures: NonNullable<PairingStore['failedGuesses']>,
  clock: Clock,
): GuessBudgets => ({
  attempt: (_request, { address, run }, failed) => run({ address, failed }),
  failures: () => failures(clock.now()),
});

export interface NodeBudgets {
  penalties: Record<GuessKind, Penalties>;
  creates: Quota;
  failures: MinuteCount;
}

/**
 * Budgets of this process. An attempt counts as a failure from before the call to the store until its outcome is known,
 * so concurrent attempts never exceed what the policy allows in sequence.
 */
export function nodeBudgets(
  { penalties, creates, failures }: NodeBudgets,
  ceiling: number,
  clock: Clock,
): GuessBudgets {
  /** Reserves a failure; returns whether it is beyond the ceiling, and a function that keeps or releases it. */
  const admit = (kind: GuessKind, address: string) => {
    const reserved = penalties[kind].reserve(address);
    if (reserved.kind === 'refused') {
      throw new Refused('address', reserved.waitSeconds, reserved.isBusy);
    }
    const counted = failures.reserve();
    const settle = (hasFailed: boolean) => {
      if (hasFailed) return reserved.keep();
      reserved.release();
      counted.release();
    };
    const isBeyond = counted.count > ceiling;
    // An address without failures gets one try, so that guesses from other addresses do not block a correct code.
    if (!isBeyond || reserved.failures + reserved.others === 0) return { isBeyond, settle };
    settle(false);
    const isBusy = reserved.failures === 0;
    throw new Refused('ceiling', isBusy ? 1 : untilNextMinute(clock.now()), isBusy);
  };

  const takeCreate = (address: string): void => {
    const seconds = creates.take(address);
    if (seconds > 0) throw new Refused('address', seconds);
  };

  return {
    async attempt(request, { address, run }, failed) {
      const { budget, failure } = GUESSES[request];
      const { isBeyond, settle } = admit(budget, address);
      const isCreate = request === 'create';
      let hasFailed = false;
      let isCharged = false;
      try {
        if (isCreate) takeCreate(address);
        isCharged = isCreate;
        const outcome = await run();
        isCharged = false;
        hasFailed = outcome.kind === failure;
        if (!hasFailed) return outcome;
        failed();
        if (isBeyond) throw new Refused('ceiling', untilNextMinute(clock.now()));
        return outcome;
      } finally {
        // The store has rejected the create, and its client retries until the store answers.
        if (isCharged) creates.giveBack(address);
        settle(hasFailed);
      }
    },
    failures: async () => failures.read(),
  };
}
