// Held checks (`Prefer: wait`): each sleeps until its code changes or its time is up. Nothing polls.
import type { Clock } from '../base/clock.js';

/** One check's eye on its join code. */
export interface Watch {
  /**
   * Resolves when the code has changed since the watch began, `until` has come, `signal` aborts, or all are closed:
   * to whether it was the time. That is told by a timer: the wall clock may have been set meanwhile.
   */
  sleep(until: number, signal: AbortSignal): Promise<boolean>;
  end(): void;
}

/**
 * Checks held for one join code at once: its creator has one, and some that it gave up and we have not missed yet.
 * Without a bound a single code could take every place there is.
 */
const MAX_PER_CODE = 8;

/** Wakes the checks that wait for a join code; at most `capacity` at once. */
export class Waiting {
  readonly #clock: Clock;
  readonly #capacity: number;
  readonly #wakers = new Map<string, Set<() => void>>();
  #size = 0;
  #closed = false;

  constructor(clock: Clock, capacity: number) {
    this.#clock = clock;
    this.#capacity = capacity;
  }

  /** How many checks are held now. */
  get size(): number {
    return this.#size;
  }

  /** Whether one more check may be held for this code: there is room, and no shutdown under way. */
  mayWatch(joinCode: string): boolean {
    if (this.#closed || this.#size >= this.#capacity) return false;
    return (this.#wakers.get(joinCode)?.size ?? 0) < MAX_PER_CODE;
  }

  /**
   * Begins to watch a code. Whoever watches first and looks at the store then misses no change, however long the store
   * takes to answer. The caller ends the watch.
   */
  watch(joinCode: string): Watch {
    let changed = false;
    let wake = () => {
      changed = true;
    };
    const waker = () => wake();
    const wakers = this.#wakers.get(joinCode) ?? new Set();
    this.#wakers.set(joinCode, wakers.add(waker));
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
        if (!wakers.delete(waker)) return;
        this.#size -= 1;
        if (wakers.size === 0) this.#wakers.delete(joinCode);
      },
    };
  }

  /** Wakes everyone who waits for this code. */
  wake(joinCode: string): void {
    for (const wake of [...(this.#wakers.get(joinCode) ?? [])]) wake();
  }

  /** Wakes everyone: a change may have been missed. */
  wakeAll(): void {
    for (const joinCode of [...this.#wakers.keys()]) this.wake(joinCode);
  }

  /** Wakes everyone and lets nobody sleep again: held requests are answered before the server goes. */
  close(): void {
    this.#closed = true;
    this.wakeAll();
  }
}
