// Counts latencies in buckets that grow with the value: percentiles within 0.8 %, in a fixed amount of memory.

/** Buckets per power of two. */
const STEPS = 128;
const STEP_BITS = 7;
/** Up to 2^37 ns: over two minutes. */
const BUCKETS = STEPS * 32;

/** Summary of a histogram, in milliseconds. */
export interface Latency {
  count: number;
  p50: number;
  p99: number;
  p999: number;
  max: number;
}

export class Histogram {
  readonly #counts = new Uint32Array(BUCKETS);
  #count = 0;
  #max = 0;

  get count(): number {
    return this.#count;
  }

  /** Records one value, in milliseconds. */
  add(milliseconds: number): void {
    const nanoseconds = Math.max(0, milliseconds * 1e6);
    const bucket = bucketOf(nanoseconds);
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#count += 1;
    if (milliseconds > this.#max) this.#max = milliseconds;
  }

  /** The value below which this share of all values lie, in milliseconds; 0 if there are none. */
  percentile(share: number): number {
    const wanted = Math.max(1, Math.ceil(this.#count * share));
    if (this.#count === 0) return 0;
    let seen = 0;
    for (let bucket = 0; bucket < BUCKETS; bucket++) {
      seen += this.#counts[bucket] as number;
      if (seen >= wanted) return Math.min(middleOf(bucket) / 1e6, this.#max);
    }
    return this.#max;
  }

  summary(): Latency {
    return {
      count: this.#count,
      p50: this.percentile(0.5),
      p99: this.percentile(0.99),
      p999: this.percentile(0.999),
      max: this.#max,
    };
  }

  reset(): void {
    this.#counts.fill(0);
    this.#count = 0;
    this.#max = 0;
  }
}

/** Values below STEPS have one bucket each; above, the top bits select the bucket. */
function bucketOf(nanoseconds: number): number {
  if (nanoseconds < STEPS) return Math.floor(nanoseconds);
  const power = Math.floor(Math.log2(nanoseconds));
  const step = Math.floor(nanoseconds / 2 ** (power - STEP_BITS)) - STEPS;
  return Math.min(BUCKETS - 1, (power - STEP_BITS + 1) * STEPS + step);
}

function middleOf(bucket: number): number {
  if (bucket < STEPS) return bucket;
  const power = Math.floor(bucket / STEPS) - 1 + STEP_BITS;
  return (STEPS + (bucket % STEPS) + 0.5) * 2 ** (power - STEP_BITS);
}
