// Penalties by key, with a growing wait: some failures are free, each further one makes the key wait twice as long.
import type { Clock } from './clock.js';

export interface PenaltyPolicy {
  /** Failures that cost nothing. */
  readonly free: number;
  /** Wait after the first failure beyond those, in seconds; doubles with each further one. */
  readonly firstWaitSeconds: number;
  /** Longest wait, in seconds. */
  readonly maxWaitSeconds: number;
  /** One failure is forgiven for each so many seconds: people mistype now and then, all through the day. */
  readonly forgiveSeconds: number;
}

/** Where penalties are kept; in cluster mode all nodes share them. */
export interface Penalties {
  /** Seconds that this key has to wait before it may try again; 0: it may try now. */
  waitSeconds(key: string): Promise<number>;
  /** Notes a failure. */
  fail(key: string): Promise<void>;
}

/** The wait that follows the `failures`-th failure, in seconds. Pure. */
export function waitAfter(failures: number, policy: PenaltyPolicy): number {
  const beyond = failures - policy.free;
  if (beyond <= 0) return 0;
  return Math.min(policy.firstWaitSeconds * 2 ** Math.min(beyond - 1, 30), policy.maxWaitSeconds);
}

/** What is left of so many failures after a time without one. Pure. */
export function unforgiven(failures: number, idleSeconds: number, policy: PenaltyPolicy): number {
  return Math.max(0, failures - Math.floor(idleSeconds / policy.forgiveSeconds));
}

/** Failures beyond the free ones that are counted: enough for the longest wait, and no more to forgive than that. */
export const MOST_BEYOND = 12;

interface Entry {
  failures: number;
  failedAt: number;
}

/**
 * Keeps penalties in memory, at most `capacity` keys: when it is full, the key that failed longest ago is forgotten.
 * Keys are there in the order of their last failure, so what is forgotten is always at the front.
 */
export class MemoryPenalties implements Penalties {
  readonly #entries = new Map<string, Entry>();
  readonly #policy: PenaltyPolicy;
  readonly #clock: Clock;
  readonly #capacity: number;

  constructor(policy: PenaltyPolicy, clock: Clock, capacity: number) {
    this.#policy = policy;
    this.#clock = clock;
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#entries.size;
  }

  async waitSeconds(key: string): Promise<number> {
    const entry = this.#entries.get(key);
    if (entry === undefined) return 0;
    const waited = this.#idleSeconds(entry);
    return Math.max(0, Math.ceil(waitAfter(entry.failures, this.#policy) - waited));
  }

  async fail(key: string): Promise<void> {
    const entry = this.#entries.get(key);
    const before = entry === undefined ? 0 : this.#left(entry);
    const failures = Math.min(before + 1, this.#policy.free + MOST_BEYOND);
    this.#entries.delete(key);
    this.#entries.set(key, { failures, failedAt: this.#clock.now() });
    this.#forget();
  }

  #left(entry: Entry): number {
    return unforgiven(entry.failures, this.#idleSeconds(entry), this.#policy);
  }

  #idleSeconds({ failedAt }: Entry): number {
    const idle = (this.#clock.now() - failedAt) / 1000;
    // A clock that was set back would otherwise hold a key for as long as it was set back by.
    return idle < 0 ? Number.POSITIVE_INFINITY : idle;
  }

  #forget(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#capacity && this.#left(entry) > 0) break;
      this.#entries.delete(key);
    }
  }
}
