// Time as the client needs it: a monotonic clock, timers, and a sleep that an AbortSignal ends.
import { CoupletError } from './errors.js';

/** Tells time and sets timers; a test brings its own. */
export interface Clock {
  /** Milliseconds since some moment in the past. A user who sets the clock of the device does not change it. */
  monotonic(): number;
  /** Calls back once after the delay; the function returned cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

/** Platforms take more for nothing at all: a proxy that asks for a month of patience would be asked without a pause. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, LONGEST_TIMER_MS));
    return () => clearTimeout(timer);
  },
};

/** Resolves after the delay; rejects with `aborted` as soon as the signal is aborted, and leaves no timer behind. */
export function sleep(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(CoupletError.aborted(signal));
    const onAbort = () => {
      cancel();
      reject(CoupletError.aborted(signal));
    };
    const cancel = clock.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
