// How much one connection may send: warned once it sends faster than the rate, closed when it does not heed that.

export interface Rate {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Seconds' worth of the rate that may come at once: the candidates of a whole session, say. */
export const BURST_SECONDS = 4;

/** What to do about one more message. */
export type Verdict = 'fine' | 'warn' | 'abuse';

/**
 * Counts what comes in against a rate, by a bucket that leaks (its level is in seconds' worth of the rate). Past one
 * full bucket the sender is warned, once until it has slowed down; past two it is an abuser.
 */
export class RateMeter {
  readonly #rate: Rate;
  #level = 0;
  #measuredAt: number;
  #warned = false;

  constructor(rate: Rate, now: number) {
    this.#rate = rate;
    this.#measuredAt = now;
  }

  /** @param now - milliseconds of a clock that never goes back */
  take(bytes: number, now: number): Verdict {
    const { messagesPerSecond, bytesPerSecond } = this.#rate;
    const leaked = (now - this.#measuredAt) / 1000;
    this.#measuredAt = now;
    this.#level =
      Math.max(0, this.#level - leaked) + Math.max(1 / messagesPerSecond, bytes / bytesPerSecond);
    if (this.#level > 2 * BURST_SECONDS) return 'abuse';
    if (this.#level <= BURST_SECONDS) {
      this.#warned &&= this.#level > BURST_SECONDS / 2;
      return 'fine';
    }
    if (this.#warned) return 'fine';
    this.#warned = true;
    return 'warn';
  }
}
