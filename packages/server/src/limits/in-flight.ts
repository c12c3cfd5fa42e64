// Bounds how much work of one key is under way at once; more waits in a queue of bounded length, first in, first out.

interface Waiter {
  /** Whether nobody waits for the answer any more. */
  readonly isGone: () => boolean;
  /** Told whether it is its turn. */
  readonly resolve: (isTurn: boolean) => void;
}

interface Line {
  active: number;
  readonly waiting: Waiter[];
}

/** Hands out turns by key; the holder of a turn ends it with `leave`. While others wait, somebody has a turn. */
export class Turns {
  readonly #atOnce: number;
  readonly #maxWaiting: number;
  readonly #lines = new Map<string, Line>();

  /** @param maxWaiting - how many may wait for one key; further ones get no turn */
  constructor(atOnce: number, maxWaiting: number) {
    this.#atOnce = atOnce;
    this.#maxWaiting = maxWaiting;
  }

  /** Keys with work under way. */
  get size(): number {
    return this.#lines.size;
  }

  /** Whether nobody but the caller has a turn of this key. */
  isAlone(key: string): boolean {
    return this.#lines.get(key)?.active === 1;
  }

  /** Resolves to true at the caller's turn; to false if too many wait already, or its client has hung up meanwhile. */
  async enter(key: string, isGone: () => boolean): Promise<boolean> {
    const line = this.#lines.get(key) ?? { active: 0, waiting: [] };
    this.#lines.set(key, line);
    if (line.active < this.#atOnce && line.waiting.length === 0) {
      line.active += 1;
      return true;
    }
    if (line.waiting.length >= this.#maxWaiting) return false;
    return new Promise((resolve) => line.waiting.push({ isGone, resolve }));
  }

  /**
   * Gives the turn back and waits, before all others, for the end of somebody else's; not to be called when alone.
   * Resolves to false, without a turn, if the client has hung up meanwhile.
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
