// Runs the tasks of one room on this node one after the other: changes, notices from other nodes, frames that wait for them.
import { Unavailable } from '../../platform/http-errors.js';

type Task = () => Promise<unknown> | unknown;

/** Tasks that may wait for one room; far more than two members can have under way. */
const MAX_WAITING = 2000;

export class RoomLine {
  readonly #tasks: Task[] = [];
  readonly #onIdle: () => void;
  readonly #onError: (error: unknown) => void;
  #busy = false;
  #idle: (() => void)[] = [];

  /**
   * @param onIdle - called whenever nothing is left to do
   * @param onError - takes what a task without a caller failed with
   */
  constructor(onIdle: () => void, onError: (error: unknown) => void) {
    this.#onIdle = onIdle;
    this.#onError = onError;
  }

  get busy(): boolean {
    return this.#busy;
  }

  /** Runs a task after those before it; false if too many wait. */
  push(task: Task): boolean {
    if (this.#tasks.length >= MAX_WAITING) return false;
    this.must(task);
    return true;
  }

  /**
   * Runs a task however many wait. Only for tasks that have another bound: a departure comes once for each
   * connection, and a lost lease once for each room.
   */
  must(task: Task): void {
    this.#tasks.push(task);
    if (!this.#busy) void this.#work();
  }

  /**
   * Runs a task after those before it, and resolves to its outcome.
   *
   * @throws Unavailable if too many wait
   */
  run<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      const fits = this.push(() => settle(task, resolve, reject));
      if (!fits) reject(new Unavailable(new Error('too many tasks wait for this room')));
    });
  }

  /** Like {@link run}, however many wait; see {@link must}. */
  mustRun<T>(task: () => Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.must(() => settle(task, resolve, reject));
    });
  }

  async idle(): Promise<void> {
    if (this.#busy) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  async #work(): Promise<void> {
    this.#busy = true;
    for (let task = this.#tasks.shift(); task !== undefined; task = this.#tasks.shift()) {
      try {
        // A task that waits for nothing costs no turn.
        const underWay = task();
        if (underWay !== undefined) await underWay;
      } catch (error) {
        this.#onError(error);
      }
    }
    this.#busy = false;
    this.#onIdle();
    const idle = this.#idle;
    this.#idle = [];
    for (const wake of idle) wake();
  }
}

/** A task that throws before it returns a promise rejects like any other. */
async function settle<T>(
  task: () => Promise<T>,
  resolve: (value: T) => void,
  reject: (error: unknown) => void,
): Promise<void> {
  try {
    resolve(await task());
  } catch (error) {
    reject(error);
  }
}
