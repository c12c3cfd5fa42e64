// Limits failed guesses of join codes: per address, of all addresses together, and the creates of an address.
//
// Accepts and creates share one budget of an address: 404 of an accept and 409 of a create both reveal whether a code is
// live. A check names the device that made the code, so its answer reveals nothing to a client that does not have that
// id. It has a wider budget of its own, because an app that resumes after a night may ask for many expired codes.
import type { Clock } from '../base/clock.js';
import { Limited } from '../base/failures.js';
import { type MinuteCount, untilNextMinute } from '../limits/minute-count.js';
import type { Penalties, PenaltyPolicy } from '../limits/penalties.js';
import type { Quota } from '../limits/quota.js';
import { Turns } from '../limits/turns.js';
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
 * Attempts of one address under way at once, and how many may wait for their turn. The first is far below the free
 * failures, so that attempts that succeed do not use them up.
 */
export const TURNS = { accept: { atOnce: 4, waiting: 256 }, check: { atOnce: 16, waiting: 1024 } };

export type GuessKind = keyof typeof TURNS;

/** The requests that may be failed guesses: the budget that each counts in, and the outcome that is a failure. */
export const GUESSES = {
  accept: { budget: 'accept', policy: ACCEPT_GUESSES, failure: 'not_found_or_expired' },
  // 409 reveals that the code is live, so creating codes could find those of others.
  create: { budget: 'accept', policy: ACCEPT_GUESSES, failure: 'conflict' },
  check: { budget: 'check', policy: CHECK_GUESSES, failure: 'not_found_or_expired' },
} as const satisfies Record<string, { budget: GuessKind; policy: PenaltyPolicy; failure: string }>;

export type GuessRequest = keyof typeof GUESSES;

/** Why an attempt was refused: its address must wait, all failures have reached the ceiling, or too many wait in line. */
export type RefusalCause = 'address' | 'ceiling' | 'queue';

/** An attempt refused with 429. */
export class Refused extends Limited {
  readonly reason: RefusalCause;
  /** Whether only attempts under way block it: once they succeed, it may be admitted. */
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
  /** Whether the client has hung up: what still waits for its turn is then dropped. */
  readonly isGone: () => boolean;
  /**
   * Asks the store. If it rejects, the client learns nothing.
   *
   * @param guess - to be passed to a store that keeps the budgets itself
   */
  readonly run: (guess?: Guess) => Promise<T>;
}

/** Where guesses are counted. */
export interface GuessBudgets {
  /**
   * Runs an attempt, or rejects with `Refused`: before the store is asked, or where the attempt failed beyond the
   * ceiling. The client is then not told of the failure.
   *
   * @param failed - called where the attempt is counted as a failure
   */
  attempt<T extends { kind: string }>(
    request: GuessRequest,
    attempt: Attempt<T>,
    failed: () => void,
  ): Promise<T>;
  /** Failures of this minute, of all addresses. */
  failures(): Promise<number>;
}

export interface Guesses {
  /** Runs an attempt at its turn, or rejects with `Limited`. */
  run<T extends { kind: string }>(request: GuessRequest, attempt: Attempt<T>): Promise<T>;
  /** Whether the failures of this minute have reached the ceiling: somebody guesses on a large scale. */
  alarmed(): Promise<boolean>;
}

/** Told of what happens, to be counted. */
export interface GuessEvents {
  failed(kind: GuessKind): void;
  refused(cause: RefusalCause): void;
}

/** @param ceiling - most failed guesses of all addresses together per minute */
export function createGuesses(
  budgets: GuessBudgets,
  ceiling: number,
  events: GuessEvents,
): Guesses {
  const lines = {
    accept: new Turns(TURNS.accept.atOnce, TURNS.accept.waiting),
    check: new Turns(TURNS.check.atOnce, TURNS.check.waiting),
  };
  const inTurn = async <T extends { kind: string }>(
    request: GuessRequest,
    attempt: Attempt<T>,
  ): Promise<T> => {
    const { address, isGone } = attempt;
    const { budget } = GUESSES[request];
    const turns = lines[budget];
    let hasTurn = await turns.enter(address, isGone);
    try {
      while (hasTurn) {
        try {
          return await budgets.attempt(request, attempt, () => events.failed(budget));
        } catch (error) {
          const isBusy = error instanceof Refused && error.isBusy;
          if (!isBusy || turns.isAlone(address)) throw error;
        }
        // Attempts under way are settled in a moment, most of them as successes: then this one may be admitted.
        hasTurn = await turns.again(address, isGone);
      }
      throw new Refused('queue', 1);
    } finally {
      if (hasTurn) turns.leave(address);
    }
  };
  return {
    run: (request, attempt) =>
      inTurn(request, attempt).catch((error) => {
        if (error instanceof Refused) events.refused(error.reason);
        throw error;
      }),
    alarmed: async () => (await budgets.failures()) >= ceiling,
  };
}

/** Budgets of a store that keeps them itself, and counts an attempt in the transaction of its effect. */
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
 * Budgets of this process. An attempt counts as a failure from before the store is asked until its outcome is known, so
 * that attempts at the same time are never more than the policy allows one after the other.
 */
export function nodeBudgets(
  { penalties, creates, failures }: NodeBudgets,
  ceiling: number,
  clock: Clock,
): GuessBudgets {
  /** Reserves a failure; returns whether it is beyond the ceiling, and what settles it. */
  const admit = async (kind: GuessKind, address: string) => {
    const reserved = await penalties[kind].reserve(address);
    if (reserved.kind === 'refused') {
      throw new Refused('address', reserved.waitSeconds, reserved.isBusy);
    }
    const counted = await failures.reserve();
    const settle = (hasFailed: boolean) => {
      if (hasFailed) return reserved.keep();
      reserved.release();
      counted.release();
    };
    const isBeyond = counted.count > ceiling;
    // An address with a clean record has one try: a right code is not refused because somebody else guesses.
    if (!isBeyond || reserved.failures + reserved.others === 0) return { isBeyond, settle };
    settle(false);
    const isBusy = reserved.failures === 0;
    throw new Refused('ceiling', isBusy ? 1 : untilNextMinute(clock.now()), isBusy);
  };

  /** Gives back what a create has taken where the store rejects: clients try again until it answers. */
  const create = async <T>(address: string, run: () => Promise<T>): Promise<T> => {
    const seconds = await creates.take(address);
    if (seconds > 0) throw new Refused('address', seconds);
    try {
      return await run();
    } catch (error) {
      await creates.giveBack(address);
      throw error;
    }
  };

  return {
    async attempt(request, { address, run }, failed) {
      const { budget, failure } = GUESSES[request];
      const { isBeyond, settle } = await admit(budget, address);
      let hasFailed = false;
      try {
        const outcome = await (request === 'create' ? create(address, run) : run());
        hasFailed = outcome.kind === failure;
        if (!hasFailed) return outcome;
        failed();
        if (isBeyond) throw new Refused('ceiling', untilNextMinute(clock.now()));
        return outcome;
      } finally {
        settle(hasFailed);
      }
    },
    failures: () => failures.read(),
  };
}
