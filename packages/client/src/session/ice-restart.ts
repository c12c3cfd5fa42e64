// Restarts ICE when a path is lost, after a short time in which it may recover by itself.
import { type Clock, systemClock } from '../clock.js';

/**
 * How long a lost path may recover by itself. A browser reports `disconnected` after about five seconds without packets,
 * and `failed` only ten or more seconds later, which is too long for a user to wait.
 */
export const RESTART_AFTER_MS = 1_000;

export class PathGuard {
  readonly #restart: () => void;
  readonly #clock: Clock;
  #cancel: () => void = () => {};

  constructor(restart: () => void, clock: Clock = systemClock) {
    this.#restart = restart;
    this.#clock = clock;
  }

  /** Handles a new state of the peer connection. */
  follow(state: RTCPeerConnectionState): void {
    this.stop();
    if (state === 'failed') this.#restart();
    else if (state === 'disconnected') {
      this.#cancel = this.#clock.after(RESTART_AFTER_MS, this.#restart);
    }
  }

  /** Cancels a pending restart. */
  stop(): void {
    this.#cancel();
    this.#cancel = () => {};
  }
}
