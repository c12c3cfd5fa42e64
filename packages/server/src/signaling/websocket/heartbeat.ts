// RFC 6455 §5.5.2 ping and pong: finds the connections whose other end is gone without a word. One timer for all.
import type { Cancel, Clock } from '../../base/clock.js';
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
  readonly #connections: Iterable<Connection>;
  readonly #counters: { reaped: number };
  #turn = 0;
  /** Ends it. */
  readonly stop: Cancel;

  constructor(
    connections: Iterable<Connection>,
    clock: Clock,
    periodSeconds: number,
    counters: { reaped: number },
  ) {
    this.#connections = connections;
    this.#counters = counters;
    this.stop = clock.every((periodSeconds * 1000) / SLOTS, () => this.#beat());
  }

  /** Looks at all of them, which is cheap, so that no connection needs a place in a list of its slot. */
  #beat(): void {
    const slot = this.#turn++ % SLOTS;
    for (const connection of this.#connections) {
      if (connection.number % SLOTS !== slot) continue;
      if (connection.unanswered >= MAX_UNANSWERED) {
        this.#counters.reaped += 1;
        connection.terminate();
      } else {
        connection.ping();
      }
    }
  }
}
