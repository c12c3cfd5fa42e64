// How many connections there may be, in total and per address: decided before the opening handshake costs anything.

/** Counts connections by address. */
export class Admission {
  readonly #maxTotal: number;
  readonly #maxPerAddress: number;
  readonly #byAddress = new Map<string, number>();
  #total = 0;

  constructor(maxTotal: number, maxPerAddress: number) {
    this.#maxTotal = maxTotal;
    this.#maxPerAddress = maxPerAddress;
  }

  /** Admits one more from this address, or says which limit it would exceed. */
  enter(address: string): 'admitted' | 'total' | 'address' {
    if (this.#total >= this.#maxTotal) return 'total';
    const present = this.#byAddress.get(address) ?? 0;
    if (present >= this.#maxPerAddress) return 'address';
    this.#byAddress.set(address, present + 1);
    this.#total += 1;
    return 'admitted';
  }

  /** Takes note that one that was admitted has gone. */
  exit(address: string): void {
    this.#total -= 1;
    const left = (this.#byAddress.get(address) ?? 1) - 1;
    if (left === 0) this.#byAddress.delete(address);
    else this.#byAddress.set(address, left);
  }
}
