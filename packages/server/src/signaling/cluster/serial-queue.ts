// Runs tasks one after the other.
import { Unavailable } from '../../base/failures.js';

/** Tasks that may wait in one queue; far more than two members of a room can cause. */
const MAX_WAITING = 2000;

export class SerialQueue {
  readonly #tasks: (() => unknown)[] = [];
  readonly #onIdle: () => void;
  readonly #onError: (error: unknown) => void;
  busy = false;

  /**
   * @param onIdle - called when no task is left
   * @param onError - receives errors of pushed tasks
   */
  constructor(onIdle: () => void, onError: (error: unknown) => void) {
    this.#onIdle = onIdle;
    this.#onError = onError;
  }

  /** Runs a task after the earlier ones; false if too many wait. Without a limit for tasks that have another bound. */
  push(task: () => unknown, isBounded = true): boolean {
    if (isBounded && this.#tasks.length >= MAX_WAITING) return false;
    this.#tasks.push(task);
    if (!this.busy) void this.#work();
    return true;
  }

  /**
   * Like {@link push}, and resolves to the outcome of the task.
   *
   * @throws Unavailable if too many wait
   */
  run<T>(task: () => Promise<T>, isBounded = true): Promise<T> {
    return new Promise((resolve, reject) => {
      // A synchronous error is an outcome, too.
      const settled = () => Promise.resolve().then(task).then(resolve, reject);
      if (this.push(settled, isBounded)) return;
      reject(new Unavailable(new Error('too many tasks wait for this room')));
    });
  }

  async #work(): Promise<void> {
    this.busy = true;
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      try {
        // A synchronous task costs no turn: a node that is cut off runs one for each of its rooms.
        const underWay = task();
        if (underWay !== undefined) await underWay;
      } catch (error) {
        this.#onError(error);
      }
    }
    this.busy = false;
    this.#onIdle();
  }
}
