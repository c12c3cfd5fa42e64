// Runs tasks one after the other, and signals changes of state.
import { Unavailable } from '../../base/failures.js';

type Task = () => Promise<unknown> | unknown;

/** Tasks that may wait in one queue; far more than two members of a room can cause. */
const MAX_WAITING = 2000;

export class SerialQueue {
  readonly #tasks: Task[] = [];
  readonly #onIdle: () => void;
  readonly #onError: (error: unknown) => void;
  #busy = false;

  /**
   * @param onIdle - called when no task is left
   * @param onError - receives errors of pushed tasks
   */
  constructor(onIdle: () => void, onError: (error: unknown) => void) {
    this.#onIdle = onIdle;
    this.#onError = onError;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Runs a task after the earlier ones; false if too many wait. */
  push(task: Task, maxWaiting = MAX_WAITING): boolean {
    if (this.#tasks.length >= maxWaiting) return false;
    this.#tasks.push(task);
    if (!this.#busy) void this.#work();
    return true;
  }

  /**
   * Runs a task after the earlier ones, and resolves to its outcome.
   *
   * @throws Unavailable if too many wait
   */
  run<T>(task: () => Promise<T>, maxWaiting = MAX_WAITING): Promise<T> {
    return new Promise((resolve, reject) => {
      const settled = async () => {
        try {
          resolve(await task());
        } catch (error) {
          reject(error);
        }
      };
      if (this.push(settled, maxWaiting)) return;
      reject(new Unavailable(new Error('too many tasks wait for this room')));
    });
  }

  /** Like {@link run}, without a limit. For tasks with another bound: one for each connection or room. */
  mustRun<T>(task: () => Promise<T>): Promise<T> {
    return this.run(task, Number.POSITIVE_INFINITY);
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      try {
        // A synchronous task costs no turn.
        const underWay = task();
        if (underWay !== undefined) await underWay;
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#busy = false;
    this.#onIdle();
  }
}

/** Resolves all waiting promises at a change of state. */
export class Signal {
  #promise: Promise<void> | undefined;
  #resolve: () => void = () => {};

  /** Resolves at the next {@link fire}. */
  next(): Promise<void> {
    this.#promise ??= new Promise((resolve) => {
      this.#resolve = resolve;
    });
    return this.#promise;
  }

  fire(): void {
    this.#promise = undefined;
    this.#resolve();
  }
}
