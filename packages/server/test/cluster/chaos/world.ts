// Holds the state that all actors of a run share: the history, the addresses of the servers, and the mode.
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { History } from './history.js';
import type { Random } from './random.js';

/** The number and the address of a server, which may be down. */
export interface Address {
  number: number;
  url: string;
}

export class World {
  readonly history: History;
  readonly secrets: Secrets;
  /** Takes a line of the report. */
  readonly report: (line: string) => void;
  /** The servers that clients call, as a load balancer without health checks would. */
  readonly addresses: readonly Address[];
  /** `load`: any actions. `recovery`: all devices request their seats and talk. `over`: all actors end. */
  mode: 'load' | 'recovery' | 'over' = 'load';
  /** The pairs that have talked both ways in this recovery. */
  served: { has(pair: number): boolean } = new Set<number>();
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

  /** A UUID in capitals, as iOS sends them. */
  newId(): string {
    return this.secrets.add(randomUUID().toUpperCase());
  }

  /** Any server except `not`, if there is another. */
  address(random: Random, not?: number): Address {
    const others = this.addresses.filter(({ number }) => number !== not);
    return random.pick(others.length > 0 ? others : this.addresses);
  }

  /** Waits; a recovery ends the wait. */
  pause(ms: number): Promise<void> {
    return this.#wait(ms, () => this.mode !== 'load');
  }

  /** Waits, also during a recovery, and then until there is load again. */
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

/** The values that no log may contain: all codes, rooms, devices, ids and contents of this run. */
export class Secrets {
  readonly #all = new Set<string>();

  add(secret: string): string {
    this.#all.add(secret);
    return secret;
  }

  /** Whether a line contains one. */
  isIn(line: string): boolean {
    if (line.includes(CONTENT_MARK)) return true;
    return (line.match(/[0-9A-Za-z-]{12,}/g) ?? []).some((word) => this.#all.has(word));
  }
}

/** Every forwarded message contains it. */
export const CONTENT_MARK = 'chaos~';

/** Waits longer after each failure, with some randomness, as the protocol asks of clients; two seconds at most. */
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
