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

/** The burst, in the unit of the bucket. */
const BURST = BURST_SECONDS * 1_000_000;

/**
 * Counts messages in a leaky bucket, whose level is in microseconds' worth of the rate. Above one full bucket the sender is
 * warned, once until it has slowed down; above two it is an abuser. Time in which the server did not read the connection
 * is credited. All numbers are whole: V8 keeps them in the object, and needs 16 bytes more for any other.
 */
export class RateMeter extends LeakyBucket {
  readonly #rate: Rate;
  #warned = false;

  constructor(rate: Rate, now: number, stalledMs = 0) {
    super(1000, Math.trunc(now), Math.trunc(stalledMs));
    this.#rate = rate;
  }

  /**
   * @param now - milliseconds of a clock that never goes back
   * @param stalledMs - sum of all stalls of the event loop until now
   */
  take(bytes: number, now: number, stalledMs = 0): Verdict {
    const { messagesPerSecond, bytesPerSecond } = this.#rate;
    const seconds = Math.max(1 / messagesPerSecond, bytes / bytesPerSecond);
    const level =
      this.leak(Math.trunc(now), Math.trunc(stalledMs)) + Math.ceil(seconds * 1_000_000);
    this.level = level;
    if (level > 2 * BURST) return 'abuse';
    if (level <= BURST) {
      this.#warned &&= level > BURST / 2;
      return 'fine';
    }
    if (this.#warned) return 'fine';
    this.#warned = true;
    return 'warn';
  }

  override excuse(ms: number): void {
    super.excuse(Math.trunc(ms));
  }
}
