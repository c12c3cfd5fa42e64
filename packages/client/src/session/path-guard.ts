// What is done about a path that is lost: it may come back by itself for a moment, then it is looked for anew.
import { type Clock, systemClock } from '../clock.js';

/**
 * How long a lost path may come back by itself. A browser calls a path `disconnected` after some five seconds of silence,
 * and `failed` only ten or more later: who waits for that, keeps the user waiting for nothing.
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

  /** Takes note of the state that a peer connection has come to. */
  follow(state: RTCPeerConnectionState): void {
    this.stop();
    if (state === 'failed') this.#restart();
    else if (state === 'disconnected') {
      this.#cancel = this.#clock.after(RESTART_AFTER_MS, this.#restart);
    }
  }

  /** Nothing runs on. */
  stop(): void {
    this.#cancel();
    this.#cancel = () => {};
  }
}
