// Limits connections in total and per address, before the opening handshake costs anything.
import type { AddressBudget } from '../../limits/address-budget.js';

/** The part of an address that admission uses: its number of connections. */
type Address = Pick<AddressBudget, 'connections'>;

/** Counts connections; those of an address are counted on the address itself. */
export class Admission {
  readonly #maxTotal: number;
  readonly #maxPerAddress: number;
  #total = 0;

  constructor(maxTotal: number, maxPerAddress: number) {
    this.#maxTotal = maxTotal;
    this.#maxPerAddress = maxPerAddress;
  }

  /** Admits one more from this address, or returns the limit that it would exceed. */
  enter(address: Address): 'admitted' | 'total' | 'address' {
    if (this.#total >= this.#maxTotal) return 'total';
    if (address.connections >= this.#maxPerAddress) return 'address';
    address.connections += 1;
    this.#total += 1;
    return 'admitted';
  }

  /** Uncounts an admitted connection that has closed. */
  exit(address: Address): void {
    this.#total -= 1;
    address.connections -= 1;
  }
}
