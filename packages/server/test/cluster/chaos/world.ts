// Holds what all actors of a run share: the history, the secrets, the servers' addresses, the mode, and repeatable choices.
import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Event, type Happening, Recovery } from './history.js';
import { ServerNode } from './server-node.js';
import { CHAOS_SEED } from './settings.js';

/**
 * A sequence of choices, which the seed and a name determine. Every actor has its own. Its choices therefore do not depend on
 * the speed of the others, and a seed repeats the same schedule and choices on any machine.
 */
export class Random {
  readonly #name: string;
  #count = 0;

  constructor(name: string) {
    this.#name = `${CHAOS_SEED}/${name}`;
  }

  between(low: number, high: number): number {
    this.#count += 1;
    const hash = createHash('sha256').update(`${this.#name}/${this.#count}`).digest();
    return low + (hash.readUInt32LE() / 2 ** 32) * (high - low);
  }

  /** A whole number from 0 to `count - 1`. */
  below(count: number): number {
    return Math.floor(this.between(0, count));
  }

  chance(probability: number): boolean {
    return this.between(0, 1) < probability;
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T;
  }
}

export class World {
  readonly events: Event[] = [];
  /** The servers, which may be down. Clients call any, as by a load balancer without health checks. */
  readonly nodes: readonly ServerNode[];
  /** `load`: any actions. `recovery`: all devices request their seats and talk. `over`: all actors end. */
  mode: 'load' | 'recovery' | 'over' = 'load';
  /** The present recovery, or the last one. */
  recovery = new Recovery(0);
  /** The values that no log may contain: all codes, rooms, devices and ids of this run. */
  readonly #secrets = new Set<string>();
  #ids = 0;

  /** @param redisUrls - REDIS_URL of each server */
  constructor(redisUrls: readonly string[]) {
    this.nodes = redisUrls.map((url, number) => new ServerNode(number, url, this));
  }

  get over(): boolean {
    return this.mode === 'over';
  }

  /** @param t - earlier than now for an event that is only known afterwards */
  readonly record = (happening: Happening, t = performance.now()): void => {
    this.events.push({ t, ...happening });
  };

  /** The number of a new connection or request. */
  nextId(): number {
    this.#ids += 1;
    return this.#ids;
  }

  secret(value: unknown): string {
    this.#secrets.add(String(value));
    return String(value);
  }

  /** A UUID in capitals, as iOS sends them. */
  newId(): string {
    return this.secret(randomUUID().toUpperCase());
  }

  /** Whether a line of a log contains identifying data. */
  leaks(line: string): boolean {
    const words = line.match(/[0-9A-Za-z-]{12,}/g) ?? [];
    return line.includes(CONTENT_MARK) || words.some((word) => this.#secrets.has(word));
  }

  /** Any server except `not`, if there is another. */
  node(random: Random, not?: number): ServerNode {
    const others = this.nodes.filter(({ number }) => number !== not);
    return random.pick(others.length > 0 ? others : this.nodes);
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
    for (let rest = ms; rest > 0 && !isEnough(); rest = end - performance.now()) {
      await sleep(Math.min(rest, 200));
    }
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
