// Measures how long the event loop was stalled, during which clients continued to send and nothing was read.
import type { Cancel, Clock } from '../base/clock.js';

const TICK_MS = 250;

/** A tick that is delayed by more than this is a stall, in milliseconds. In a busy loop, delays are shorter. */
const TOLERATED_MS = 250;

/**
 * Sums up stalls, caused by a long callback, a paused process or a suspended machine. Data that is read right after a
 * stall was sent during it and must not count against its sender.
 */
export class Stalls {
  #total = 0;
  #longest = 0;
  #tickedAt: number;
  readonly #clock: Pick<Clock, 'monotonic' | 'every'>;
  readonly stop: Cancel;

  constructor(clock: Pick<Clock, 'monotonic' | 'every'>) {
    this.#clock = clock;
    this.#tickedAt = clock.monotonic();
    this.stop = clock.every(TICK_MS, () => this.#tick());
  }

  /** Returns the sum of all stalls in milliseconds, including the current one, because sockets may be read before the delayed timers. Never decreases. */
  total(now: number): number {
    return this.#total + Math.max(0, now - this.#tickedAt - TICK_MS - TOLERATED_MS);
  }

  /** Returns the longest delay of a tick since the last call, in milliseconds. */
  takeLongest(): number {
    this.#tick();
    const longest = this.#longest;
    this.#longest = 0;
    return longest;
  }

  #tick(): void {
    const now = this.#clock.monotonic();
    this.#total = this.total(now);
    this.#longest = Math.max(this.#longest, now - this.#tickedAt - TICK_MS);
    this.#tickedAt = now;
  }
}
