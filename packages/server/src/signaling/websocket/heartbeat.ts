// Finds connections whose client no longer answers, by ping and pong frames (RFC 6455 §5.5.2). One timer serves all.
import type { Cancel, Clock } from '../../base/clock.js';
import type { Connection } from './connection.js';

/** Unanswered pings after which a connection is dropped. */
const MAX_UNANSWERED = 2;

/** Parts of the connections, so that not all are pinged at the same instant. */
const SLOTS = 20;

/**
 * Pings every connection once a period, each slot in its own part of it. A silent connection is dropped at most three
 * periods after its last frame. Returns the function that stops this.
 */
export function startHeartbeat(
  connections: Iterable<Connection>,
  clock: Clock,
  periodSeconds: number,
  counters: { reaped: number },
): Cancel {
  let turn = 0;
  return clock.every((periodSeconds * 1000) / SLOTS, () => {
    const slot = turn++ % SLOTS;
    // Scans all connections, which is cheap, instead of keeping a list for each slot.
    for (const connection of connections) {
      if (connection.number % SLOTS !== slot) continue;
      if (connection.unanswered >= MAX_UNANSWERED) {
        counters.reaped += 1;
        connection.terminate();
      } else connection.ping();
    }
  });
}
