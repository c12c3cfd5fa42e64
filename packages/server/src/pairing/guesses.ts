// Guessing codes is scarce: failed accepts and checks make their address wait, and all failures together slow down.
//
// A success costs nothing and is never slowed. A check names the device that made the code, so it tells a guesser
// nothing without that; it has a wide budget of its own, because an app that comes back after a night asks for many
// codes that have expired meanwhile. An accept is the guess that counts.
import type { Clock } from '../platform/clock.js';
import type { MinuteCount } from '../platform/minute-count.js';
import type { Penalties, PenaltyPolicy } from '../platform/penalties.js';
import type { Quota } from '../platform/quota.js';

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

/** Failures of all addresses together, per minute, from which on each failure is answered late. */
export interface GlobalGuessBudget {
  readonly failuresPerMinute: number;
  /** How late, in milliseconds. */
  readonly delayMs: number;
  /** Most failures held at once; further ones are answered without delay. */
  readonly maxHeld: number;
}

export interface Guesses {
  /** Takes one create out of the address's quota; 0, or the seconds that it has to wait. */
  createWait(address: string): Promise<number>;
  /** Seconds that this address has to wait before it may accept; 0: it may now. Asked before the code is looked at. */
  acceptWait(address: string): Promise<number>;
  /** Notes a failed accept; resolves when it may be answered. */
  acceptFailed(address: string): Promise<void>;
  /**
   * Notes a failed check; resolves to the seconds that the address has to wait, 0 where it may know that it failed,
   * when it may be answered.
   */
  checkFailed(address: string): Promise<number>;
  /** Whether the budget of the whole server is used up: somebody guesses on a large scale. */
  alarmed(): Promise<boolean>;
  /** Failures whose answers are being held back now. */
  readonly held: number;
}

/** Where guesses are counted. */
export interface GuessBudgets {
  accepts: Penalties;
  checks: Penalties;
  creates: Quota;
  failures: MinuteCount;
}

export function createGuesses(
  { accepts, checks, creates, failures }: GuessBudgets,
  budget: GlobalGuessBudget,
  clock: Clock,
  onFailure: (kind: 'accept' | 'check') => void,
): Guesses {
  let held = 0;

  const slowDown = async (kind: 'accept' | 'check') => {
    onFailure(kind);
    const count = await failures.add();
    if (count <= budget.failuresPerMinute || held >= budget.maxHeld) return;
    held += 1;
    await new Promise<void>((resolve) => clock.after(budget.delayMs, resolve));
    held -= 1;
  };

  return {
    createWait: (address) => creates.take(address),
    acceptWait: (address) => accepts.waitSeconds(address),
    async acceptFailed(address) {
      await accepts.fail(address);
      await slowDown('accept');
    },
    async checkFailed(address) {
      const wait = await checks.waitSeconds(address);
      // Told nothing, it has guessed nothing: or one address alone could raise the alarm, and fill the places of held
      // failures so that those of others are answered at once.
      if (wait > 0) return wait;
      await checks.fail(address);
      await slowDown('check');
      return 0;
    },
    async alarmed() {
      return (await failures.read()) > budget.failuresPerMinute;
    },
    get held() {
      return held;
    },
  };
}
