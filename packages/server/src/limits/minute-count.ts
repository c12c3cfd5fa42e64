// How often something has happened in the present minute of the wall clock, to all nodes together.
import type { Clock } from '../base/clock.js';

const MINUTE_MS = 60_000;

/** One that is counted. */
export interface Counted {
  /** How many that makes, this one included. */
  readonly count: number;
  /** Takes it back, while its minute lasts; afterwards the count is of no use to anyone. */
  release(): void;
}

/** Where the count is kept; in cluster mode all nodes share it. */
export interface MinuteCount {
  /** Counts one more. */
  reserve(): Promise<Counted>;
  read(): Promise<number>;
}

/** The minute that a time lies in. */
export const minuteOf = (time: number): number => Math.floor(time / MINUTE_MS);

/** Seconds until the next minute begins. */
export const untilNextMinute = (time: number): number =>
  Math.ceil(((minuteOf(time) + 1) * MINUTE_MS - time) / 1000);

export class MemoryMinuteCount implements MinuteCount {
  readonly #clock: Clock;
  #minute = 0;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  async reserve(): Promise<Counted> {
    this.#turn();
    this.#count += 1;
    const minute = this.#minute;
    return {
      count: this.#count,
      release: () => {
        this.#turn();
        if (minute === this.#minute) this.#count = Math.max(0, this.#count - 1);
      },
    };
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
