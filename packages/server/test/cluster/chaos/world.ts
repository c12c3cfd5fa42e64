// What the actors of a run share: the history, the servers they may call, and whether the load or the recovery is on.
import { setTimeout as sleep } from 'node:timers/promises';
import type { History } from './history.js';
import type { Random } from './random.js';

/** A server as a client knows it: by a number and an address, and not whether it is there. */
export interface Address {
  number: number;
  url: string;
}

export class World {
  readonly history: History;
  readonly secrets: Secrets;
  /** Takes a line of the report. */
  readonly report: (line: string) => void;
  /** Those that clients call, as a load balancer without health checks would. */
  readonly addresses: readonly Address[];
  /** `load`: do as you like. `recovery`: everyone wants its seat, and talks. `over`: come to an end. */
  mode: 'load' | 'recovery' | 'over' = 'load';
  /** The pairs that have talked both ways in this recovery. */
  readonly served = new Set<number>();
  #conns = 0;
  #ops = 0;

  constructor(
    history: History,
    secrets: Secrets,
    addresses: readonly Address[],
    report: (line: string) => void,
  ) {
    this.report = report;
    this.history = history;
    this.secrets = secrets;
    this.addresses = addresses;
  }

  get over(): boolean {
    return this.mode === 'over';
  }

  nextConn(): number {
    this.#conns += 1;
    return this.#conns;
  }

  nextOp(): number {
    this.#ops += 1;
    return this.#ops;
  }

  /** Any server, but not the one that is to be avoided, where there is another. */
  address(random: Random, not?: number): Address {
    const others = this.addresses.filter(({ number }) => number !== not);
    return random.pick(others.length > 0 ? others : this.addresses);
  }

  /** Waits; the recovery is impatient. */
  pause(ms: number): Promise<void> {
    return this.#wait(ms, () => this.mode !== 'load');
  }

  /** Waits, recovery or not, and then until there is load again: new things are begun under load only. */
  async pauseUntilLoad(ms: number): Promise<void> {
    await this.#wait(ms, () => this.over);
    while (this.mode === 'recovery') await sleep(200);
  }

  async #wait(ms: number, isEnough: () => boolean): Promise<void> {
    const end = performance.now() + ms;
    for (;;) {
      const rest = end - performance.now();
      if (rest <= 0 || isEnough()) return;
      await sleep(Math.min(rest, 200));
    }
  }
}

/** What no log may hold: everything that names a pairing of this run. */
export class Secrets {
  readonly #all = new Set<string>();

  add(secret: string): string {
    this.#all.add(secret);
    return secret;
  }

  /** Whether a line holds one. Codes have twelve digits here, so that no number in a log is one by chance. */
  isIn(line: string): boolean {
    if (line.includes(CONTENT_MARK)) return true;
    return (line.match(/[0-9A-Za-z-]{12,}/g) ?? []).some((word) => this.#all.has(word));
  }
}

/** Every forwarded message of the run holds it. */
export const CONTENT_MARK = 'chaos~';

/** As the protocol asks of clients: longer each time, with some randomness; for a test's patience, two seconds at most. */
export class Backoff {
  readonly #random: Random;
  #failures = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  succeeded(): void {
    this.#failures = 0;
  }

  async failed(): Promise<void> {
    const longest = Math.min(250 * 2 ** this.#failures, 2000);
    this.#failures += 1;
    await sleep(longest * this.#random.between(0.5, 1));
  }
}
