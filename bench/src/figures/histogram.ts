// Counts latencies: percentiles within 0.1 %, in a fixed amount of memory.
import { createHistogram } from 'node:perf_hooks';

/** Over two minutes, in nanoseconds. */
const HIGHEST = 2 ** 37;

/** Summary of a histogram, in milliseconds. */
export interface Latency {
  count: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

export class Histogram {
  readonly #nanoseconds = createHistogram({ lowest: 1, highest: HIGHEST, figures: 3 });

  get count(): number {
    return this.#nanoseconds.count;
  }

  /** Records one value, in milliseconds. */
  add(milliseconds: number): void {
    const nanoseconds = Math.round(milliseconds * 1e6);
    this.#nanoseconds.record(Math.min(HIGHEST, Math.max(1, nanoseconds)));
  }

  /** The value below which this share of all values lie, in milliseconds; 0 if there are none. */
  percentile(share: number): number {
    return this.count === 0 ? 0 : this.#nanoseconds.percentile(share * 100) / 1e6;
  }

  summary(): Latency {
    return {
      count: this.count,
      p50: this.percentile(0.5),
      p99: this.percentile(0.99),
      p999: this.percentile(0.999),
      max: this.count === 0 ? 0 : this.#nanoseconds.max / 1e6,
    };
  }

  reset(): void {
    this.#nanoseconds.reset();
  }
}
