// Implements a leaky bucket, whose level falls with time. Credits the sender with time in which the server did not read.

/** Longest time that is credited, in milliseconds. More is not needed, because the kernel's buffer for a client is bounded. */
const MAX_CREDIT_MS = 60_000;

export class LeakyBucket {
  /** In units of the caller. Negative after a credit. */
  level = 0;
  readonly #perMs: number;
  #leakedAt: number;
  #stalledMs: number;
  #excusedMs = 0;
  #creditMs = 0;

  /**
   * @param perMs - leak per millisecond
   * @param now - milliseconds of a monotonic clock
   * @param stalledMs - sum of all stalls until now
   */
  constructor(perMs: number, now: number, stalledMs = 0) {
    this.#perMs = perMs;
    this.#leakedAt = now;
    this.#stalledMs = stalledMs;
  }

  /**
   * Applies the leak since the last call and returns the level. The level can fall below zero by the leak of the time in
   * which the server did not read, because the messages of that time arrive all at once.
   */
  leak(now: number, stalledMs = this.#stalledMs): number {
    const elapsed = now - this.#leakedAt;
    // Fast path for the common case without a credit.
    if (stalledMs === this.#stalledMs && this.#excusedMs + this.#creditMs === 0) {
      this.#leakedAt = now;
      const left = this.level - elapsed * this.#perMs;
      this.level = left > 0 ? left : 0;
      return this.level;
    }
    const unread = stalledMs - this.#stalledMs + this.#excusedMs;
    this.#leakedAt = now;
    this.#stalledMs = stalledMs;
    this.#excusedMs = 0;
    // A credit lasts as long as the time that it is for. Then the sender has caught up.
    const left = Math.max(0, this.#creditMs - Math.max(0, elapsed - unread));
    this.#creditMs = Math.min(MAX_CREDIT_MS, left + unread);
    this.level = Math.max(this.level - elapsed * this.#perMs, -this.#creditMs * this.#perMs);
    return this.level;
  }

  /** Adds time, in milliseconds, in which this sender was not read. It counts at the next leak. */
  excuse(ms: number): void {
    this.#excusedMs += ms;
  }
}
