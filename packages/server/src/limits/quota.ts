// Implements quotas by key: `perHour` at once, refilled within an hour (generic cell rate algorithm, ITU-T I.371).
import type { Clock } from '../base/clock.js';

export const HOUR_MS = 3_600_000;

/**
 * Stores one number per key: the time at which its quota will be complete again, by the monotonic clock. Has at most
 * `capacity` keys; when it is full, it removes the oldest key.
 */
export class Quota {
  readonly #perHour: number;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #capacity: number;
  readonly #wholeAt = new Map<string, number>();

  constructor(perHour: number, clock: Pick<Clock, 'monotonic'>, capacity: number) {
    this.#perHour = perHour;
    this.#clock = clock;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#wholeAt.size;
  }

  /** Takes one and returns 0, or returns the seconds until one is available. */
  take(key: string): number {
    const now = this.#clock.monotonic();
    const intervalMs = HOUR_MS / this.#perHour;
    const wholeAt = Math.max(this.#wholeAt.get(key) ?? now, now) + intervalMs;
    const waitMs = wholeAt - HOUR_MS - now;
    if (waitMs > 0.5) return Math.max(1, Math.ceil(waitMs / 1000));
    this.#wholeAt.delete(key);
    this.#wholeAt.set(key, wholeAt);
    this.#forget(now);
    return 0;
  }

  /** Returns one that was not used. */
  giveBack(key: string): void {
    const known = this.#wholeAt.get(key);
    if (known !== undefined) this.#wholeAt.set(key, known - HOUR_MS / this.#perHour);
  }

  #forget(now: number): void {
    for (const [key, wholeAt] of this.#wholeAt) {
      if (this.#wholeAt.size <= this.#capacity && wholeAt > now) break;
      this.#wholeAt.delete(key);
    }
  }
}
