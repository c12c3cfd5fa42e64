// Computes retry delays: exponential backoff with full jitter.

/** Upper bound of the first delay, in milliseconds. */
export const FIRST_DELAY_MS = 500;

/** Upper bound of every delay, in milliseconds. */
export const LONGEST_DELAY_MS = 30_000;

/**
 * Returns the delay before the next attempt.
 *
 * @param attempt 0 after the first failure, 1 after the second, and so on
 * @param random a number from 0 to 1 that scales the whole delay. When a server restarts, all its clients lose the
 * connection at the same time; their reconnects must be spread out.
 */
export function reconnectDelayMs(attempt: number, random: number): number {
  return random * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
}
