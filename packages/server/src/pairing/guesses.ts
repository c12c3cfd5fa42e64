// Guessing codes is scarce: every attempt counts as a failure before the store is asked, and is given back where it was none.
//
// Accepts and creates share one budget of an address: 404 of an accept and 409 of a create both tell of a code. A check
// names the device that made the code, so it tells a guesser nothing without that; it has a wider budget of its own,
// because an app that comes back after a night asks for many codes that have expired meanwhile.
import type { Clock } from '../platform/clock.js';
import { Limited } from '../platform/http-errors.js';
import { type MinuteCount, untilNextMinute } from '../platform/minute-count.js';
import type { Penalties, PenaltyPolicy } from '../platform/penalties.js';
import type { Quota } from '../platform/quota.js';
import { Turns } from '../platform/turns.js';

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

/** Why an attempt was refused: its address must wait, all failures have reached the ceiling, or too many wait in line. */
export type RefusalCause = 'address' | 'ceiling' | 'queue';

/** An attempt that may turn out to be a failed guess. */
export interface Attempt<T> {
  readonly address: string;
  /** Whether the client has hung up: what still waits for its turn is then dropped. */
  readonly isGone: () => boolean;
  /** Asks the store. If it rejects, nothing was told, and the attempt is given back. */
  readonly run: () => Promise<T>;
  readonly hasFailed: (outcome: T) => boolean;
}

/**
 * Each runs an attempt, or rejects with `Limited`: before the store is asked, or where the attempt failed beyond the
 * ceiling, which is not told.
 */
export interface Guesses {
  accept<T>(attempt: Attempt<T>): Promise<T>;
  /** As an accept, and out of the address's quota of creates. */
  create<T>(attempt: Attempt<T>): Promise<T>;
  check<T>(attempt: Attempt<T>): Promise<T>;
  /** Whether the failures of this minute have reached the ceiling: somebody guesses on a large scale. */
  alarmed(): Promise<boolean>;
}

/** Where guesses are counted. */
export interface GuessBudgets {
  accepts: Penalties;
  checks: Penalties;
  creates: Quota;
  failures: MinuteCount;
}

/** Told of what happens, to be counted. */
export interface GuessEvents {
  failed(kind: GuessKind): void;
  refused(cause: RefusalCause): void;
}

/** An attempt that may ask the store. */
interface Admitted {
  readonly kind: 'admitted';
  /** Whether the ceiling is reached: then a failure is not told. */
  readonly isBeyond: boolean;
  settle(hasFailed: boolean): void;
}

interface Rejected {
  readonly kind: 'rejected';
  readonly cause: RefusalCause;
  readonly seconds: number;
  /** Only attempts whose outcome is not known yet are in the way. */
  readonly isBusy: boolean;
}

/** @param ceiling - most failed guesses of all addresses together per minute */
export function createGuesses(
  { accepts, checks, creates, failures }: GuessBudgets,
  ceiling: number,
  clock: Clock,
  events: GuessEvents,
): Guesses {
  const kinds = {
    accept: { penalties: accepts, turns: new Turns(TURNS.accept.atOnce, TURNS.accept.waiting) },
    check: { penalties: checks, turns: new Turns(TURNS.check.atOnce, TURNS.check.waiting) },
  };

  const admit = async (penalties: Penalties, address: string): Promise<Admitted | Rejected> => {
    const reserved = await penalties.reserve(address);
    if (reserved.kind === 'refused') {
      const { waitSeconds: seconds, isBusy } = reserved;
      return { kind: 'rejected', cause: 'address', seconds, isBusy };
    }
    const counted = await failures.reserve().catch((error) => {
      reserved.release();
      throw error;
    });
    const settle = (hasFailed: boolean) => {
      if (hasFailed) return reserved.keep();
      reserved.release();
      counted.release();
    };
    const isBeyond = counted.count > ceiling;
    // An address with a clean record has one try: a right code is not refused because somebody else guesses.
    if (!isBeyond || reserved.failures + reserved.others === 0) {
      return { kind: 'admitted', isBeyond, settle };
    }
    settle(false);
    const isBusy = reserved.failures === 0;
    const seconds = isBusy ? 1 : untilNextMinute(clock.now());
    return { kind: 'rejected', cause: 'ceiling', seconds, isBusy };
  };

  const limited = (cause: RefusalCause, seconds: number): Limited => {
    events.refused(cause);
    return new Limited(seconds);
  };

  const runAdmitted = async <T>(
    kind: GuessKind,
    { isBeyond, settle }: Admitted,
    { run, hasFailed }: Attempt<T>,
  ): Promise<T> => {
    let isFailure = false;
    try {
      const outcome = await run();
      isFailure = hasFailed(outcome);
      if (!isFailure) return outcome;
      events.failed(kind);
      if (isBeyond) throw limited('ceiling', untilNextMinute(clock.now()));
      return outcome;
    } finally {
      settle(isFailure);
    }
  };

  const attempt = async <T>(kind: GuessKind, asked: Attempt<T>): Promise<T> => {
    const { penalties, turns } = kinds[kind];
    const { address, isGone } = asked;
    if (!(await turns.enter(address, isGone))) throw limited('queue', 1);
    let hasTurn = true;
    try {
      for (;;) {
        const answer = await admit(penalties, address);
        if (answer.kind === 'admitted') return await runAdmitted(kind, answer, asked);
        if (!answer.isBusy || turns.isAlone(address)) throw limited(answer.cause, answer.seconds);
        // Those in the way are settled in a moment, most of them as successes: then it may be admitted.
        hasTurn = await turns.again(address, isGone);
        if (!hasTurn) throw limited('queue', 1);
      }
    } finally {
      if (hasTurn) turns.leave(address);
    }
  };

  return {
    accept: (asked) => attempt('accept', asked),
    create: (asked) =>
      attempt('accept', {
        ...asked,
        async run() {
          const seconds = await creates.take(asked.address);
          if (seconds > 0) throw limited('address', seconds);
          try {
            return await asked.run();
          } catch (error) {
            // Nothing was made and nothing told: clients try again until the store is back.
            await creates.giveBack(asked.address);
            throw error;
          }
        },
      }),
    check: (asked) => attempt('check', asked),
    async alarmed() {
      return (await failures.read()) >= ceiling;
    },
  };
}
