// How often something has happened in the present minute of the wall clock, to all nodes together.
import type { Clock } from './clock.js';

const MINUTE_MS = 60_000;

/** Where the count is kept; in cluster mode all nodes share it. */
export interface MinuteCount {
  /** Counts one more; resolves to how many that makes. */
  add(): Promise<number>;
  read(): Promise<number>;
}

/** The minute that a time lies in. */
export const minuteOf = (time: number): number => Math.floor(time / MINUTE_MS);

export class MemoryMinuteCount implements MinuteCount {
  readonly #clock: Clock;
  #minute = 0;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async add(): Promise<number> {
    this.#turn();
    this.#count += 1;
    return this.#count;
  }

  async read(): Promise<number> {
    this.#turn();
    return this.#count;
  }

  #turn(): void {
    const minute = minuteOf(this.#clock.now());
    if (minute === this.#minute) return;
    this.#minute = minute;
    this.#count = 0;
  }
}
