// What is done about a path that is lost: the server is asked for a sign of life at once, and ICE restarted soon after.
import { type Clock, systemClock } from './clock.js';

/**
 * How long a lost path may come back by itself. A browser calls a path `disconnected` after five seconds of silence, and
 * `failed` only ten to fifteen seconds later: whoever waits for that, waits for half a minute.
 */
export const RESTART_AFTER_MS = 2_000;

export interface PathGuardOptions {
  /** The network may have taken the signaling connection with the path, without a word. */
  ask(): void;
  /** Looks for the path anew. */
  restart(): void;
  clock?: Clock | undefined;
}

export class PathGuard {
  readonly #options: PathGuardOptions;
  #cancel: () => void = () => {};

  constructor(options: PathGuardOptions) {
    this.#options = options;
  }

  /** Takes note of every state that the peer connection comes to. */
  follow(state: RTCPeerConnectionState): void {
    const { ask, restart, clock = systemClock } = this.#options;
    this.stop();
    if (state === 'disconnected') {
      ask();
      this.#cancel = clock.after(RESTART_AFTER_MS, restart);
    } else if (state === 'failed') {
      ask();
      restart();
    }
  }

  /** Nothing runs on. */
  stop(): void {
    this.#cancel();
    this.#cancel = () => {};
  }
}
