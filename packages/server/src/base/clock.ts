// Defines the clock as a dependency: the current time, and timers that can be canceled.

/** Cancels a timer. A second call, or a call after the timer fired, does nothing. */
export type Cancel = () => void;

/**
 * The largest difference that is tolerated between the wall clocks of two nodes, or of one node before and after a
 * correction. A time further in the future was written before the clock was set back.
 */
export const MAX_SKEW_MS = 60_000;

export interface Clock {
  /** Milliseconds since the Unix epoch, from the wall clock. */
  now(): number;
  /** Milliseconds since a fixed time in the past. Changes of the wall clock do not affect it; suspending the machine may stop it. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`. */
  after(delayMs: number, callback: () => void): Cancel;
  /** Calls `callback` every `periodMs`. The timer does not keep the process alive. */
  every(periodMs: number, callback: () => void): Cancel;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
  every(periodMs, callback) {
    const timer = setInterval(callback, periodMs);
    timer.unref();
    return () => clearInterval(timer);
  },
};
