// Limits the message rate of one connection: warns above the rate, and closes if the client does not slow down.
import { LeakyBucket } from '../limits/leaky-bucket.js';

export interface Rate {
  readonly messagesPerSecond: number;
  readonly bytesPerSecond: number;
}

/** Seconds' worth of the rate that may arrive at once, such as all candidates of a session. */
export const BURST_SECONDS = 4;

/** The decision about one message. */
export type Verdict = 'fine' | 'warn' | 'abuse';

/**
 * Counts messages in a leaky bucket, whose level is in seconds' worth of the rate. Above one full bucket the sender is
 * warned, once until it has slowed down; above two it is an abuser. Time in which the server did not read the connection
 * is credited.
 */
export class RateMeter extends LeakyBucket {
  readonly #rate: Rate;
  #warned = false;

  constructor(rate: Rate, now: number, stalledMs = 0) {
    super(1 / 1000, now, stalledMs);
    this.#rate = rate;
  }

  /**
   * @param now - milliseconds of a clock that never goes back
   * @param stalledMs - sum of all stalls of the event loop until now
   */
  take(bytes: number, now: number, stalledMs?: number): Verdict {
    const { messagesPerSecond, bytesPerSecond } = this.#rate;
    const level =
      this.leak(now, stalledMs) + Math.max(1 / messagesPerSecond, bytes / bytesPerSecond);
    this.level = level;
    if (level > 2 * BURST_SECONDS) return 'abuse';
    if (level <= BURST_SECONDS) {
      this.#warned &&= level > BURST_SECONDS / 2;
      return 'fine';
    }
    if (this.#warned) return 'fine';
    this.#warned = true;
    return 'warn';
  }
}
