// A clock that moves only when the test moves it.
import type { Cancel, Clock } from '../../server/src/base/clock.js';

interface Timer {
  due: number;
  periodMs: number | null;
  callback: () => void;
}

export class FakeClock implements Clock {
  #now: number;
  #setByMs = 0;
  readonly #timers = new Set<Timer>();
  readonly #watchers = new Set<() => void>();

  constructor(now = Date.UTC(2100, 0, 1)) {
    this.#now = now;
  }

  /** Number of timers that will still fire. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Resolves once this many timers are set, for example when the code under test has begun or ended a sleep. */
  async reach(pending: number): Promise<void> {
    while (this.pending !== pending) {
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  now(): number {
    return this.#now + this.#setByMs;
  }

  monotonic(): number {
    return this.#now;
  }

  /** Sets the wall clock forwards or backwards. Timers are not affected, because they use monotonic time. */
  set(byMs: number): void {
    this.#setByMs += byMs;
  }

  /** Pauses the process: all clocks go on, and no timer fires before the next `advance`. */
  pause(ms: number): void {
    this.#now += ms;
  }

  after(delayMs: number, callback: () => void): Cancel {
    return this.#set({ due: this.#now + delayMs, periodMs: null, callback });
  }

  every(periodMs: number, callback: () => void): Cancel {
    return this.#set({ due: this.#now + periodMs, periodMs, callback });
  }

  /** Moves time on, and fires due timers in order. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.due - b.due)[0];
      if (next === undefined || next.due > end) break;
      // After a pause it is overdue, and time does not go back.
      this.#now = Math.max(this.#now, next.due);
      if (next.periodMs === null) this.#drop(next);
      else next.due += next.periodMs;
      next.callback();
    }
    this.#now = end;
  }

  #set(timer: Timer): Cancel {
    this.#timers.add(timer);
    this.#tell();
    return () => this.#drop(timer);
  }

  #drop(timer: Timer): void {
    if (this.#timers.delete(timer)) this.#tell();
  }

  #tell(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}
