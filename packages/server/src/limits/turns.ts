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
  readonly #atOnce: (key: string) => number;
  readonly #maxWaiting: number;
  readonly #lines = new Map<string, Line>();

  /**
   * @param atOnce - maximum number of turns of a key at present, at least one; called whenever a turn could begin
   * @param maxWaiting - how many may wait for one key; further callers get no turn
   */
  constructor(atOnce: (key: string) => number, maxWaiting: number) {
    this.#atOnce = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** Number of keys with running tasks. */
  get size(): number {
    return this.#lines.size;
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
    if (waiting.length === 0 && (line.active === 0 || line.active < this.#atOnce(key))) {
      line.active += 1;
      return true;
    }
    if (waiting.length >= this.#maxWaiting) return false;
    return new Promise((resolve) => waiting.push({ isGone, resolve }));
  }

  leave(key: string): void {
    const line = this.#lines.get(key) as Line;
    line.active -= 1;
    while (line.waiting.length > 0 && line.active < this.#atOnce(key)) {
      const next = line.waiting.shift() as Waiter;
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
