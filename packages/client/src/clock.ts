// Provides a monotonic clock, timers, and an abortable sleep.
import { onAbort } from './abort.js';

/** A source of time and timers. Tests pass a fake one. */
export interface Clock {
  /** Milliseconds since an arbitrary moment in the past. Changes of the system clock do not affect it. */
  monotonic(): number;
  /** Calls back once after the delay. Returns a function that cancels the timer. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after the delay. Rejects with `aborted`, and clears the timer, as soon as the signal is aborted. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const cancel = clock.after(delayMs, () => {
      stop();
      resolve();
    });
    const stop = onAbort(signal, (error) => {
      cancel();
      reject(error);
    });
  });
}
