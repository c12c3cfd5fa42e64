// Counts events in the current minute of the wall clock, in this process.
import type { Clock } from '../base/clock.js';

const MINUTE_MS = 60_000;

/** Returns the number of the minute of a time. */
const minuteOf = (time: number): number => Math.floor(time / MINUTE_MS);

/** Returns the seconds until the next minute. */
export const untilNextMinute = (time: number): number =>
  Math.ceil(((minuteOf(time) + 1) * MINUTE_MS - time) / 1000);

export class MinuteCount {
  readonly #clock: Clock;
  #minute = 0;
  #count = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts one event. */
  reserve() {
    this.#turn();
    this.#count += 1;
    const minute = this.#minute;
    return {
      /** The count, including this event. */
      count: this.#count,
      /** Removes the event from the count, if its minute has not ended. */
      release: () => {
        this.#turn();
        if (minute === this.#minute) this.#count = Math.max(0, this.#count - 1);
      },
    };
  }

  read(): number {
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
