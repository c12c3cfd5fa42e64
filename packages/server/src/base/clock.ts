// Time as a dependency: the present, and timers that their owner can cancel.

/** Cancels a timer; calling it again, or after the timer fired, does nothing. */
export type Cancel = () => void;

/**
 * The most by which the wall clocks of two nodes, or of one before and after a correction, are taken to differ. A time
 * that lies further in the future was written before the clock was set back.
 */
export const MAX_SKEW_MS = 60_000;

export interface Clock {
  /** Milliseconds since the Unix epoch, as told by the wall clock. */
  now(): number;
  /** Milliseconds since some instant in the past: no setting of the wall clock moves it, but a machine that sleeps may stop it. */
  monotonic(): number;
  /** Calls `callback` once after `delayMs`. */
  after(delayMs: number, callback: () => void): Cancel;
  /** Calls `callback` every `periodMs`; such a timer never keeps the process alive. */
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
