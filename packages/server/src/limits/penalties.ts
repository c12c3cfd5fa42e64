// Implements penalties by key: some failures are free, and each further failure doubles the wait of the key.
import { type Clock, MAX_SKEW_MS } from '../base/clock.js';

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
  failedAt: number;
  /** Number of open reservations, and the time of the last one. */
  open: number;
  openedAt: number;
}

/**
 * Stores penalties of at most `capacity` keys in memory. When it is full, it removes the key whose last failure is the
 * oldest. The map is in the order of the last failure, so that key is the first.
 */
export class Penalties {
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

  /**
   * Counts an attempt as a failure before its outcome is known, so that simultaneous attempts cannot exceed the number of
   * sequential attempts that the policy allows. The caller must keep or release the reservation.
   */
  reserve(key: string) {
    const now = this.#clock.now();
    const entry = this.#entries.get(key) ?? { failures: 0, failedAt: now, open: 0, openedAt: now };
    const left = this.#left(entry);
    const waitSeconds = this.#wait(left === 0 ? 0 : entry.failures, entry.failedAt);
    const others = entry.open;
    /** Whether only attempts with an unknown outcome block the key. After they succeed, the key may try again. */
    const isBusy = waitSeconds === 0 && others > 0 && this.#wait(left + others, entry.openedAt) > 0;
    if (isBusy || waitSeconds > 0) {
      return { kind: 'refused' as const, waitSeconds: isBusy ? 1 : waitSeconds, isBusy };
    }
    entry.open += 1;
    entry.openedAt = now;
    this.#entries.set(key, entry);
    this.#forget();
    return {
      kind: 'reserved' as const,
      /** Failures of the key that are not forgiven yet, without this attempt. */
      failures: left,
      /** Other attempts of the key whose outcome is still unknown. */
      others,
      /** Records that the attempt failed. */
      keep: () => this.#keep(key),
      /** Removes the attempt, which did not fail. */
      release: () => this.#release(key),
    };
  }

  #keep(key: string): void {
    const now = this.#clock.now();
    // The entry may have been removed meanwhile to make room for another key.
    const entry = this.#entries.get(key) ?? { failures: 0, failedAt: now, open: 1, openedAt: now };
    entry.failures = Math.min(this.#left(entry) + 1, this.#policy.free + MOST_BEYOND);
    entry.failedAt = now;
    entry.open = Math.max(0, entry.open - 1);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    this.#forget();
  }

  #release(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    entry.open = Math.max(0, entry.open - 1);
    if (entry.open === 0 && this.#left(entry) === 0) this.#entries.delete(key);
  }

  #wait(failures: number, since: number): number {
    const waited = Math.max(0, this.#clock.now() - since) / 1000;
    return Math.max(0, Math.ceil(waitAfter(failures, this.#policy) - waited));
  }

  #left({ failures, failedAt }: Entry): number {
    const idleMs = this.#clock.now() - failedAt;
    // If the clock was set back, the key would otherwise wait for that time too.
    if (idleMs < -MAX_SKEW_MS) return 0;
    return unforgiven(failures, Math.max(0, idleMs) / 1000, this.#policy);
  }

  #forget(): void {
    for (const [key, entry] of this.#entries) {
      const isSpent = entry.open === 0 && this.#left(entry) === 0;
      if (this.#entries.size <= this.#capacity && !isSpent) break;
      this.#entries.delete(key);
    }
  }
}
