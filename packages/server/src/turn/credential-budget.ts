// Bounds how many different TURN users one address gets per hour. A repeated request for the same user is free.
import type { Clock } from '../base/clock.js';
import { MemoryQuota } from '../limits/quota.js';

/** Maximum number of addresses in memory, and of users. A user that was removed counts again. */
const MAX_REMEMBERED = 100_000;

export class CredentialBudget {
  readonly #quota: MemoryQuota;
  readonly #given = new Set<string>();

  /** @param perHour - users that an address may get at once; the allowance refills within an hour */
  constructor(perHour: number, clock: Clock) {
    this.#quota = new MemoryQuota(perHour, clock, MAX_REMEMBERED);
  }

  /** Gives a user to an address and returns 0, or returns the seconds that the address must wait. */
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
