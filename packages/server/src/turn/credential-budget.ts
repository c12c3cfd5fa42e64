// Bounds how many different TURN users one address is given per hour; the same user again costs nothing.
import type { Clock } from '../base/clock.js';
import { MemoryQuota } from '../limits/quota.js';

/** Addresses, and users given to them, that are remembered at most. A user that was forgotten counts again. */
const MAX_REMEMBERED = 100_000;

export class CredentialBudget {
  readonly #quota: MemoryQuota;
  readonly #given = new Set<string>();

  /** @param perHour - users that an address may be given at once, and again per hour */
  constructor(perHour: number, clock: Clock) {
    this.#quota = new MemoryQuota(perHour, clock, MAX_REMEMBERED);
  }

  /** Gives a user to an address; returns 0, or the seconds for which the address has to wait. */
  take(address: string, username: string): number {
    const name = `${address} ${username}`;
    if (this.#given.has(name)) return 0;
    const wait = this.#quota.takeNow(address);
    if (wait > 0) return wait;
    this.#given.add(name);
    if (this.#given.size > MAX_REMEMBERED) {
      const [oldest] = this.#given;
      this.#given.delete(oldest as string);
    }
    return 0;
  }
}
