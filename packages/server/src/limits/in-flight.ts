// Bounds how many tasks of one key run at once. Further tasks wait in a FIFO queue of bounded length.

interface Waiter {
  /** Whether the client has disconnected. */
  readonly isGone: () => boolean;
  /** Resolves to whether the waiter got a turn. */
  readonly resolve: (isTurn: boolean) => void;
}

interface Line {
  active: number;
  readonly waiting: Waiter[];
}

/** Grants turns by key. The holder of a turn ends it with `leave`. While callers wait, at least one other has a turn. */
export class Turns {
  readonly #atOnce: number;
  readonly #maxWaiting: number;
  readonly #lines = new Map<string, Line>();

  /** @param maxWaiting - how many may wait for one key; further callers get no turn */
  constructor(atOnce: number, maxWaiting: number) {
    this.#atOnce = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** Number of keys with running tasks. */
  get size(): number {
    return this.#lines.size;
  }

  /** Whether only the caller has a turn of this key. */
  isAlone(key: string): boolean {
    return this.#lines.get(key)?.active === 1;
  }

  /**
   * Returns true when the caller has a turn, or false if too many wait or the client has disconnected. Without a wait, the
   * result is not a promise, because most callers do not wait.
   */
  enter(key: string, isGone: () => boolean): boolean | Promise<boolean> {
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = { active: 0, waiting: [] };
      this.#lines.set(key, line);
    }
    const { waiting } = line;
    if (line.active < this.#atOnce && waiting.length === 0) {
      line.active += 1;
      return true;
    }
    if (waiting.length >= this.#maxWaiting) return false;
    return new Promise((resolve) => waiting.push({ isGone, resolve }));
  }

  /**
   * Ends the turn and waits, before all others, for the end of another turn. Must not be called while `isAlone`. Resolves
   * to false, without a turn, if the client has disconnected.
   */
  again(key: string, isGone: () => boolean): Promise<boolean> {
    const line = this.#lines.get(key) as Line;
    line.active -= 1;
    return new Promise((resolve) => line.waiting.unshift({ isGone, resolve }));
  }

  leave(key: string): void {
    const line = this.#lines.get(key) as Line;
    line.active -= 1;
    while (line.active < this.#atOnce) {
      const next = line.waiting.shift();
      if (next === undefined) break;
      if (next.isGone()) {
        next.resolve(false);
      } else {
        line.active += 1;
        next.resolve(true);
      }
    }
    if (line.active === 0) this.#lines.delete(key);
  }
}
