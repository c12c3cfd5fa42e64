// Penalties by key, with a growing wait: some failures are free, each further one makes the key wait twice as long.
import type { Clock } from './clock.js';

export interface PenaltyPolicy {
  /** Failures that cost nothing. */
  readonly free: number;
  /** Wait after the first failure beyond those, in seconds; doubles with each further one. */
  readonly firstWaitSeconds: number;
  /** Longest wait, in seconds. */
  readonly maxWaitSeconds: number;
  /** A key without a failure for this long is forgotten, in seconds. */
  readonly memorySeconds: number;
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
    const entry = this.#recall(key);
    if (entry === undefined) return 0;
    const waited = (this.#clock.now() - entry.failedAt) / 1000;
    return Math.max(0, Math.ceil(waitAfter(entry.failures, this.#policy) - waited));
  }

  async fail(key: string): Promise<void> {
    const failures = (this.#recall(key)?.failures ?? 0) + 1;
    this.#entries.delete(key);
    this.#entries.set(key, { failures, failedAt: this.#clock.now() });
    this.#forget();
  }

  #recall(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    return entry !== undefined && this.#isOld(entry) ? undefined : entry;
  }

  #isOld({ failedAt }: Entry): boolean {
    const age = this.#clock.now() - failedAt;
    // A clock that was set back would otherwise hold a key for as long as it was set back by.
    return age < 0 || age >= this.#policy.memorySeconds * 1000;
  }

  #forget(): void {
    for (const [key, entry] of this.#entries) {
      if (this.#entries.size <= this.#capacity && !this.#isOld(entry)) break;
      this.#entries.delete(key);
    }
  }
}
