// What happens to one room on this node, one thing after the other: changes, news from other nodes, frames that must wait for them.

type Task = () => Promise<void> | void;

/** Tasks that may wait for one room: far more than its members can have under way. */
const MAX_WAITING = 2000;

export class RoomLine {
  readonly #tasks: Task[] = [];
  readonly #onIdle: () => void;
  #busy = false;
  #idle: (() => void)[] = [];

  /** @param onIdle - called whenever nothing is left to do */
  constructor(onIdle: () => void = () => {}) {
    this.#onIdle = onIdle;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Runs a task after those before it; false where too many wait. A task that fails is its own affair. */
  push(task: Task): boolean {
    if (this.#tasks.length >= MAX_WAITING) return false;
    this.#tasks.push(task);
    if (!this.#busy) void this.#work();
    return true;
  }

  /** The same for one whose outcome is wanted; rejects where too many wait. */
  run<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fits = this.push(() => task().then(resolve, reject));
      if (!fits) reject(new Error('too much waits for this room'));
    });
  }

  async idle(): Promise<void> {
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      // A task that waits for nothing costs no turn.
      const underWay = task();
      if (underWay !== undefined) await underWay.catch(() => {});
    }
    this.#busy = false;
    this.#onIdle();
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }
}
