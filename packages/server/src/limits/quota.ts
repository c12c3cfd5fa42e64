// A quota by key: so many at once, and as many again per hour (the generic cell rate algorithm, ITU-T I.371).
import { type Clock, MAX_SKEW_MS } from '../base/clock.js';

export const HOUR_MS = 3_600_000;

/** Where quotas are kept; in cluster mode all nodes share them. */
export interface Quota {
  /** Takes one; 0 where there was one to take, else the seconds until there is. */
  take(key: string): Promise<number>;
  /** Gives one back that was taken in vain. Never fails: what cannot be given back stays taken. */
  giveBack(key: string): Promise<void>;
}

/**
 * Counts what each key takes, in one number per key: the time at which its quota will be whole again. At most
 * `capacity` keys are kept; when it is full, the key that came first is forgotten.
 */
export class MemoryQuota implements Quota {
  readonly #perHour: number;
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #wholeAt = new Map<string, number>();

  constructor(perHour: number, clock: Clock, capacity: number) {
    this.#perHour = perHour;
    this.#clock = clock;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#wholeAt.size;
  }

  async take(key: string): Promise<number> {
    return this.takeNow(key);
  }

  takeNow(key: string): number {
    const now = this.#clock.now();
    const intervalMs = HOUR_MS / this.#perHour;
    const known = this.#wholeAt.get(key) ?? now;
    // Further off than an hour and the skew, it was written before the clock was set back.
    const from = known < now || known > now + HOUR_MS + MAX_SKEW_MS ? now : known;
    const wholeAt = from + intervalMs;
    const waitMs = wholeAt - HOUR_MS - now;
    if (waitMs > 0.5) return Math.max(1, Math.ceil(waitMs / 1000));
    this.#wholeAt.delete(key);
    this.#wholeAt.set(key, wholeAt);
    this.#forget(now);
    return 0;
  }

  async giveBack(key: string): Promise<void> {
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
