// The live connections of this process, by id: effects of rooms and forwarded frames find their target here.
import { assertNever } from '../platform/assert-never.js';
import type { LocalConnections } from './backplane.js';
import type { Connection } from './connection.js';
import type { SignalingCounters } from './counters.js';
import type { Effect } from './room.js';

export class Connections implements LocalConnections {
  readonly #byId = new Map<string, Connection>();
  readonly #counters: Pick<SignalingCounters, 'drops'>;
  #emptied: (() => void) | undefined;

  constructor(counters: Pick<SignalingCounters, 'drops'>) {
    this.#counters = counters;
  }

  get size(): number {
    return this.#byId.size;
  }

  [Symbol.iterator](): Iterator<Connection> {
    return this.#byId.values();
  }

  add(connection: Connection): void {
    this.#byId.set(connection.id, connection);
  }

  delete(connection: Connection): void {
    this.#byId.delete(connection.id);
    if (this.#byId.size === 0) this.#emptied?.();
  }

  /** Resolves once no connection is left. */
  async whenEmpty(): Promise<void> {
    if (this.#byId.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
  }

  deliver(effect: Effect): void {
    const connection = this.#byId.get(effect.to);
    if (connection === undefined) return;
    switch (effect.kind) {
      case 'seat':
        connection.seat = effect.seat;
        break;
      case 'send':
        connection.send(effect.message);
        break;
      case 'close':
        connection.close(effect.reason);
        break;
      default:
        assertNever(effect);
    }
  }

  forward(connectionId: string, frame: string): void {
    const connection = this.#byId.get(connectionId);
    if (connection === undefined) this.#counters.drops.peer_gone += 1;
    else connection.sendFrame(frame);
  }
}
