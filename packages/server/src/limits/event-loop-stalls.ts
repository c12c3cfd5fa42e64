// How long the event loop stood still: time in which clients went on sending, and nothing of it was read.
import type { Cancel, Clock } from '../base/clock.js';

const TICK_MS = 250;

/** A tick that is later than this, in milliseconds, is a stall; a loop that is merely busy is less late. */
const TOLERATED_MS = 250;

/**
 * Sums up stalls: of a long callback, of a paused process, of a machine that slept. What is read right after one was
 * sent during it, and is not to be held against its senders.
 */
export class Stalls {
  #total = 0;
  #tickedAt: number;
  readonly stop: Cancel;

  constructor(clock: Pick<Clock, 'monotonic' | 'every'>) {
    this.#tickedAt = clock.monotonic();
    this.stop = clock.every(TICK_MS, () => {
      const now = clock.monotonic();
      this.#total = this.total(now);
      this.#tickedAt = now;
    });
  }

  /** Milliseconds of all stalls, the present one included: sockets may be read before the timers of a late turn. Never goes back. */
  total(now: number): number {
    return this.#total + Math.max(0, now - this.#tickedAt - TICK_MS - TOLERATED_MS);
  }
}
