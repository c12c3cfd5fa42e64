// A level that rises by what is taken and sinks with time; time in which the server did not read is credited.

/** Longest time that is credited, in milliseconds: what the kernel holds for a client is bounded anyway. */
const MAX_CREDIT_MS = 60_000;

export class LeakyBucket {
  /** In units of the caller; below zero after a credit. */
  level = 0;
  readonly #perMs: number;
  #leakedAt: number;
  #stalledMs: number;
  #excusedMs = 0;
  #creditMs = 0;

  /**
   * @param perMs - what leaks in a millisecond
   * @param now - milliseconds of a clock that never goes back
   * @param stalledMs - sum of all stalls until now
   */
  constructor(perMs: number, now: number, stalledMs = 0) {
    this.#perMs = perMs;
    this.#leakedAt = now;
    this.#stalledMs = stalledMs;
  }

  /**
   * Lets the time since the last call leak. The level sinks below zero by what would have leaked while the server did not
   * read: the sender went on meanwhile, and its messages come all at once.
   */
  leak(now: number, stalledMs = this.#stalledMs): number {
    const elapsed = now - this.#leakedAt;
    // The common case, and each message asks: nothing was credited.
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
    // A credit lasts as long as what it is for; then the sender has caught up.
    const left = Math.max(0, this.#creditMs - Math.max(0, elapsed - unread));
    this.#creditMs = Math.min(MAX_CREDIT_MS, left + unread);
    this.level = Math.max(this.level - elapsed * this.#perMs, -this.#creditMs * this.#perMs);
    return this.level;
  }

  /** Takes note of a time, in milliseconds and before the next leak, in which this sender was not read. */
  excuse(ms: number): void {
    this.#excusedMs += ms;
  }
}
