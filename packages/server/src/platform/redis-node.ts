// A server of Redis that is to be connected for as long as we live: reconnects for ever, with jitter, and queues nothing.
import { Unavailable } from './http-errors.js';
import { type ConnectionOptions, RedisConnection } from './redis-connection.js';
import type { RedisAddress } from './redis-url.js';

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 2000;

/** How long to wait before attempt number `attempt` (from 0): doubling, and random so that nodes do not come at once. */
export function reconnectDelayMs(attempt: number, random = Math.random()): number {
  const longest = Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt, 10), LONGEST_DELAY_MS);
  return longest * (0.25 + 0.75 * random);
}

export interface NodeEvents {
  /** Connected, for the first time or again. */
  up(isAgain: boolean): void;
  /** Lost, or not to be reached. */
  down(cause: unknown): void;
}

/** Sleeps that end early when their owner closes. */
export class Naps {
  readonly #wakers = new Set<() => void>();
  #isClosed = false;

  get isClosed(): boolean {
    return this.#isClosed;
  }

  sleep(ms: number): Promise<void> {
    if (this.#isClosed) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.#wakers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.#wakers.add(wake);
    });
  }

  close(): void {
    this.#isClosed = true;
    for (const wake of [...this.#wakers]) wake();
  }
}

export class RedisNode {
  readonly #locate: () => Promise<RedisAddress>;
  readonly #options: ConnectionOptions;
  readonly #events: NodeEvents;
  readonly #naps = new Naps();
  readonly #waiting = new Set<() => void>();
  #connection: RedisConnection | undefined;
  #cause: unknown = new Error('Redis is not connected yet');

  /** @param locate - asked before each attempt: with Sentinel, the master is not always the same */
  constructor(locate: () => Promise<RedisAddress>, options: ConnectionOptions, events: NodeEvents) {
    this.#locate = locate;
    this.#options = options;
    this.#events = events;
    void this.#live();
  }

  get isReady(): boolean {
    return this.#connection !== undefined;
  }

  get address(): RedisAddress | undefined {
    return this.#connection?.address;
  }

  /**
   * The connection there is now.
   *
   * @throws Unavailable if there is none
   */
  get connection(): RedisConnection {
    if (this.#connection === undefined) throw new Unavailable(this.#cause);
    return this.#connection;
  }

  /** Resolves to whether there is a connection, in at most this time. */
  async ready(withinMs: number): Promise<boolean> {
    if (this.#connection !== undefined) return true;
    if (this.#naps.isClosed) return false;
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#waiting.delete(done);
        resolve();
      };
      const timer = setTimeout(done, withinMs);
      this.#waiting.add(done);
    });
    return this.#connection !== undefined;
  }

  /** Looks whether this is still the right server; where it is not, the connection is given up for the right one. */
  async relocate(): Promise<void> {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { host, port } = await this.#locate();
    const { address } = connection;
    if (address.host !== host || address.port !== port) connection.close();
  }

  close(): void {
    this.#naps.close();
    this.#connection?.close();
    for (const done of [...this.#waiting]) done();
  }

  async #live(): Promise<void> {
    let isAgain = false;
    for (let attempt = 0; !this.#naps.isClosed; attempt++) {
      try {
        const connection = await RedisConnection.open(await this.#locate(), this.#options);
        if (this.#naps.isClosed) return connection.close();
        this.#connection = connection;
        attempt = 0;
        for (const done of [...this.#waiting]) done();
        this.#events.up(isAgain);
        isAgain = true;
        this.#cause = await connection.ended;
      } catch (error) {
        this.#cause = error;
      }
      this.#connection = undefined;
      if (this.#naps.isClosed) return;
      this.#events.down(this.#cause);
      await this.#naps.sleep(reconnectDelayMs(attempt));
    }
  }
}
