// Held checks (`Prefer: wait`): each sleeps until its code changes or its time is up. Nothing polls.
import type { Clock } from '../platform/clock.js';

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

  /** Whether one more check may be held: there is room, and no shutdown under way. */
  get open(): boolean {
    return !this.#closed && this.#size < this.#capacity;
  }

  /** Resolves when the code changes, `until` has come, `signal` aborts, or {@link close} is called. */
  sleep(joinCode: string, until: number, signal: AbortSignal): Promise<void> {
    if (!this.open || signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      const wakers = this.#wakers.get(joinCode) ?? new Set();
      const wake = () => {
        cancel();
        signal.removeEventListener('abort', wake);
        wakers.delete(wake);
        if (wakers.size === 0) this.#wakers.delete(joinCode);
        this.#size -= 1;
        resolve();
      };
      const cancel = this.#clock.after(Math.max(0, until - this.#clock.now()), wake);
      signal.addEventListener('abort', wake);
      this.#wakers.set(joinCode, wakers.add(wake));
      this.#size += 1;
    });
  }

  /** Wakes everyone who waits for this code. */
  wake(joinCode: string): void {
    for (const wake of [...(this.#wakers.get(joinCode) ?? [])]) wake();
  }

  /** Wakes everyone and lets nobody sleep again: held requests are answered before the server goes. */
  close(): void {
    this.#closed = true;
    for (const joinCode of [...this.#wakers.keys()]) this.wake(joinCode);
  }
}
