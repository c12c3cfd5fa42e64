// How long to wait before trying again: exponential backoff with full jitter, as a pure function.

/** Bound of the first delay, in milliseconds. */
export const FIRST_DELAY_MS = 500;

/** Bound of every delay, in milliseconds. */
export const LONGEST_DELAY_MS = 30_000;

/**
 * The delay before a further attempt.
 *
 * @param attempt how many attempts have failed before this one's predecessor: 0 after the first failure
 * @param random from 0 to 1. The whole delay is drawn, not a part added to it: all clients of a server that restarts
 * lose it at the same instant, and are not to come back at the same instant.
 */
export function reconnectDelayMs(attempt: number, random: number): number {
  return random * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);
}
