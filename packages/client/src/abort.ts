// Follows the AbortSignal of a caller.
import { abortedError, type CoupletError } from './errors.js';

/** Throws `aborted` if the signal is aborted. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortedError(signal);
}

/**
 * Calls back with `aborted` when the signal is aborted; at once if it is aborted already. Returns a function that removes
 * the listener.
 */
export function onAbort(
  signal: AbortSignal | null | undefined,
  callback: (error: CoupletError) => void,
): () => void {
  const listener = () => callback(abortedError(signal));
  signal?.addEventListener('abort', listener, { once: true });
  if (signal?.aborted) listener();
  return () => signal?.removeEventListener('abort', listener);
}
