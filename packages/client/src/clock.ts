// Timers as the client needs them: set one, sleep until one, and drop it when the caller no longer waits.
import { CoupletError } from './errors.js';

/** Sets timers; a test brings its own. */
export interface Clock {
  /** Calls back once after the delay; the function returned cancels it. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
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
