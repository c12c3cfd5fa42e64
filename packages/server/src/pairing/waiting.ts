// Holds checks (`Prefer: wait`): each sleeps until its code changes or its time is up. There is no polling.
import { EventEmitter } from 'node:events';
import type { Clock } from '../base/clock.js';

/** Watches a join code for one held check. */
export interface Watch {
  /**
   * Resolves when the code has changed since the watch began, at `until`, when `signal` aborts, or on `close()`.
   * Resolves to true only at `until`. A timer decides this, because the wall clock may be set in the meantime.
   */
  sleep(until: number, signal: AbortSignal): Promise<boolean>;
  end(): void;
}

/**
 * Maximum of checks held for one join code: one by its creator, and others whose closed connections are not yet
 * detected. Without this limit, one code could use the whole capacity.
 */
const MAX_PER_CODE = 8;

/** Wakes the checks that wait for a join code; at most `capacity` at once. */
export class Waiting {
  readonly #clock: Clock;
  readonly #capacity: number;
  /** Emits a join code, as the name of an event, when it may have changed. */
  readonly #changes = new EventEmitter();
  #size = 0;
  #closed = false;

  constructor(clock: Clock, capacity: number) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  /** Number of checks held now. */
  get size(): number {
    return this.#size;
  }

  /** Whether one more check may be held for this code: neither limit is reached, and the server is not shutting down. */
  mayWatch(joinCode: string): boolean {
    if (this.#closed || this.#size >= this.#capacity) return false;
    return this.#changes.listenerCount(joinCode) < MAX_PER_CODE;
  }

  /**
   * Begins to watch a code. A caller that starts the watch before it reads the store misses no change, however long the
   * read takes. The caller ends the watch.
   */
  watch(joinCode: string): Watch {
    let changed = false;
    let wake = () => {
      changed = true;
    };
    const waker = () => wake();
    this.#changes.on(joinCode, waker);
    this.#size += 1;
    return {
      sleep: (until, signal) =>
        new Promise((resolve) => {
          if (changed || this.#closed || signal.aborted) return resolve(false);
          const end = (timeIsUp: boolean) => {
            cancel();
            signal.removeEventListener('abort', wake);
            resolve(timeIsUp);
          };
          wake = () => end(false);
          const delayMs = Math.max(0, until - this.#clock.now());
          const cancel = this.#clock.after(delayMs, () => end(true));
          signal.addEventListener('abort', wake);
        }),
      end: () => {
        this.#changes.off(joinCode, waker);
        this.#size -= 1;
      },
    };
  }

  /** Wakes every check that waits for this code. */
  wake(joinCode: string): void {
    // A row of another server may have any name, and an emitter throws for `error` if it has no listener.
    if (this.#changes.listenerCount(joinCode) > 0) this.#changes.emit(joinCode);
  }

  /** Wakes all checks, because a change may have been missed. */
  wakeAll(): void {
    for (const joinCode of this.#changes.eventNames()) this.#changes.emit(joinCode);
  }

  /** Wakes all checks and holds no more, so that held requests are answered before the server stops. */
  close(): void {
    this.#closed = true;
    this.wakeAll();
  }
}
