// Implements penalties by key: some failures are free, and each further failure doubles the wait of the key.
import type { Clock } from '../base/clock.js';

export interface PenaltyPolicy {
  /** Number of failures without a wait. */
  readonly free: number;
  /** Wait after the first failure beyond the free ones, in seconds. Doubles with each further failure. */
  readonly firstWaitSeconds: number;
  /** Longest wait, in seconds. */
  readonly maxWaitSeconds: number;
  /** Seconds after which one failure is forgiven, because people mistype now and then. */
  readonly forgiveSeconds: number;
}

/** Returns the wait after the failure number `failures`, in seconds. */
export function waitAfter(failures: number, policy: PenaltyPolicy): number {
  const beyond = failures - policy.free;
  if (beyond <= 0) return 0;
  return Math.min(policy.firstWaitSeconds * 2 ** Math.min(beyond - 1, 30), policy.maxWaitSeconds);
}

/** Returns how many failures remain after a time without failures. */
export function unforgiven(failures: number, idleSeconds: number, policy: PenaltyPolicy): number {
  return Math.max(0, failures - Math.floor(idleSeconds / policy.forgiveSeconds));
}

/** Maximum number of counted failures beyond the free ones. It is enough for the longest wait. */
export const MOST_BEYOND = 12;

interface Entry {
  failures: number;
  /** By the monotonic clock, in milliseconds. */
  failedAt: number;
}

/**
 * Stores penalties of at most `capacity` keys in memory. When it is full, it removes the key whose last failure is the
 * oldest. The map is in the order of the last failure, so that key is the first.
 */
export class Penalties {
  readonly #entries = new Map<string, Entry>();
  readonly #policy: PenaltyPolicy;
  readonly #clock: Pick<Clock, 'monotonic'>;
  readonly #capacity: number;

  constructor(policy: PenaltyPolicy, clock: Pick<Clock, 'monotonic'>, capacity: number) {
    this.#policy = policy;
    this.#clock = clock;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Returns the seconds until the key may try again. */
  wait(key: string): number {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.#left(entry) === 0) return 0;
    const waited = (this.#clock.monotonic() - entry.failedAt) / 1000;
    return Math.max(0, Math.ceil(waitAfter(entry.failures, this.#policy) - waited));
  }

  /** Returns the failures of the key that are not forgiven yet. */
  failures(key: string): number {
    const entry = this.#entries.get(key);
    return entry === undefined ? 0 : this.#left(entry);
  }

  fail(key: string): void {
    const failures = Math.min(this.failures(key) + 1, this.#policy.free + MOST_BEYOND);
    this.#entries.delete(key);
    this.#entries.set(key, { failures, failedAt: this.#clock.monotonic() });
    for (const [oldest, entry] of this.#entries) {
      if (this.#entries.size <= this.#capacity && this.#left(entry) > 0) break;
      this.#entries.delete(oldest);
    }
  }

  #left({ failures, failedAt }: Entry): number {
    const idleSeconds = (this.#clock.monotonic() - failedAt) / 1000;
    return unforgiven(failures, idleSeconds, this.#policy);
  }
}
