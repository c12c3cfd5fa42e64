// How many connections there may be, in total and per address: decided before the opening handshake costs anything.
import type { AddressBudget } from '../../limits/address-budget.js';

/** What admission needs of an address: how many connections it has. */
type Address = Pick<AddressBudget, 'connections'>;

/** Counts connections, those of an address on the address itself. */
export class Admission {
  readonly #maxTotal: number;
  readonly #maxPerAddress: number;
  #total = 0;

  constructor(maxTotal: number, maxPerAddress: number) {
    this.#maxTotal = maxTotal;
    this.#maxPerAddress = maxPerAddress;
  }

  /** Admits one more from this address, or says which limit it would exceed. */
  enter(address: Address): 'admitted' | 'total' | 'address' {
    if (this.#total >= this.#maxTotal) return 'total';
    if (address.connections >= this.#maxPerAddress) return 'address';
    address.connections += 1;
    this.#total += 1;
    return 'admitted';
  }

  /** Takes note that one that was admitted has gone. */
  exit(address: Address): void {
    this.#total -= 1;
    address.connections -= 1;
  }
}
