// Counts events in the current minute of the wall clock, on all nodes together.
import type { Clock } from '../base/clock.js';

const MINUTE_MS = 60_000;

/** A counted event. */
export interface Counted {
  /** The count, including this event. */
  readonly count: number;
  /** Removes the event from the count, if its minute has not ended. */
  release(): void;
}

/** Storage of the count. In cluster mode, all nodes share it. */
export interface MinuteCount {
  /** Counts one event. */
  reserve(): Promise<Counted>;
  read(): Promise<number>;
}

/** Returns the number of the minute of a time. */
export const minuteOf = (time: number): number => Math.floor(time / MINUTE_MS);

/** Returns the seconds until the next minute. */
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
