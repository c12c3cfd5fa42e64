// Penalties by key, with a growing wait: some failures are free, each further one makes the key wait twice as long.
import { type Clock, MAX_SKEW_MS } from '../base/clock.js';

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

/** An attempt whose outcome is not known yet. It counts as a failure until it is released. */
export interface Reservation {
  readonly kind: 'reserved';
  /** Failures of the key that are not forgiven, without this attempt. */
  readonly failures: number;
  /** Other attempts of the key whose outcome is not known yet. */
  readonly others: number;
  /** The attempt failed. */
  keep(): void;
  /** The attempt was no failure: it leaves no trace. */
  release(): void;
}

/** The key must wait. */
export interface Refusal {
  readonly kind: 'refused';
  readonly waitSeconds: number;
  /** Only attempts whose outcome is not known yet are in the way: once they succeed, the key may go on. */
  readonly isBusy: boolean;
}

/** Where penalties are kept; in cluster mode all nodes share them. */
export interface Penalties {
  /**
   * Counts an attempt as a failure before its outcome is known, so that attempts made at the same time are never more
   * than the policy allows one after the other. The caller keeps or releases the reservation.
   */
  reserve(key: string): Promise<Reservation | Refusal>;
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

/** A refusal where nobody can say for how long: other attempts of the key are under way. */
export const BUSY: Refusal = { kind: 'refused', waitSeconds: 1, isBusy: true };

interface Entry {
  failures: number;
  failedAt: number;
  /** Reservations that are neither kept nor released, and when the last of them was made. */
  open: number;
  openedAt: number;
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

  async reserve(key: string): Promise<Reservation | Refusal> {
    const now = this.#clock.now();
    const entry = this.#entries.get(key) ?? { failures: 0, failedAt: now, open: 0, openedAt: now };
    const left = this.#left(entry);
    const wait = this.#wait(left === 0 ? 0 : entry.failures, entry.failedAt);
    if (wait > 0) return { kind: 'refused', waitSeconds: wait, isBusy: false };
    if (entry.open > 0 && this.#wait(left + entry.open, entry.openedAt) > 0) return BUSY;
    const others = entry.open;
    entry.open += 1;
    entry.openedAt = now;
    this.#entries.set(key, entry);
    this.#forget();
    return {
      kind: 'reserved',
      failures: left,
      others,
      keep: () => this.#keep(key),
      release: () => this.#release(key),
    };
  }

  #keep(key: string): void {
    const now = this.#clock.now();
    // It may have been forgotten meanwhile, as any key when there are too many.
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
    // A clock that was set back would otherwise hold a key for as long as it was set back by.
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
