// Restarts ICE when a path is lost, after a short time in which it may recover by itself.
import { type Clock, systemClock } from '../clock.js';

/**
 * How long a lost path may recover by itself. A browser reports `disconnected` after about five seconds without packets,
 * and `failed` only ten or more seconds later, which is too long for a user to wait.
 */
export const RESTART_AFTER_MS = 1_000;

/** Returns a function to be called with each new state of the peer connection. Without a state, it cancels a restart. */
export function pathGuard(
  restart: () => void,
  clock: Clock = systemClock,
): (state?: RTCPeerConnectionState) => void {
  let cancel = () => {};
  return (state) => {
    cancel();
    if (state === 'failed') restart();
    else if (state === 'disconnected') cancel = clock.after(RESTART_AFTER_MS, restart);
  };
}
