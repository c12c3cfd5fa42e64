// RFC 6455 §5.5.2 ping and pong: finds the connections whose other end is gone without a word. One timer for all.
import type { Cancel, Clock } from '../platform/clock.js';
import type { Connection } from './connection.js';

/** Unanswered pings after which a connection is gone. */
const MAX_UNANSWERED = 2;

/** Parts into which the connections are split, so that not all are pinged at the same instant. */
const SLOTS = 20;

/**
 * Pings every connection once a period, each slot in its own part of it. Whoever is silent is terminated at the
 * third turn: at most three periods after it was last heard of.
 */
export class Heartbeat {
  readonly #slots = Array.from({ length: SLOTS }, () => new Set<Connection>());
  readonly #cancel: Cancel;
  readonly #counters: { reaped: number };
  #turn = 0;

  constructor(clock: Clock, periodSeconds: number, counters: { reaped: number }) {
    this.#counters = counters;
    this.#cancel = clock.every((periodSeconds * 1000) / SLOTS, () => this.#beat());
  }

  add(connection: Connection): void {
    this.#slotOf(connection)?.add(connection);
  }

  delete(connection: Connection): void {
    this.#slotOf(connection)?.delete(connection);
  }

  stop(): void {
    this.#cancel();
  }

  #slotOf(connection: Connection): Set<Connection> | undefined {
    return this.#slots[connection.number % SLOTS];
  }

  #beat(): void {
    for (const connection of this.#slots[this.#turn++ % SLOTS] ?? []) {
      if (connection.unanswered >= MAX_UNANSWERED) {
        this.#counters.reaped += 1;
        connection.terminate();
      } else {
        connection.ping();
      }
    }
  }
}
