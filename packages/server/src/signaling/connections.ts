// Holds the live connections of this process by id, and delivers effects and forwarded frames to them.
import type { RTCIceServer, ServerMessage } from '@couplet/protocol';
import { assertNever } from '../base/assert-never.js';
import type { LocalConnections } from './backplane.js';
import type { SignalingCounters } from './counters.js';
import type { Effect, Seat } from './room.js';
import type { Connection } from './websocket/connection.js';

/** The ICE servers that a member may pass to RTCPeerConnection. */
export interface IceServers {
  /** Empty if there is nothing for this member. */
  for(seat: Seat, connection: Pick<Connection, 'id' | 'address'>): readonly RTCIceServer[];
}

export class Connections implements LocalConnections {
  readonly #byId = new Map<string, Connection>();
  readonly #iceServers: IceServers;
  readonly #counters: Pick<SignalingCounters, 'drops'>;
  #emptied: (() => void) | undefined;

  constructor(iceServers: IceServers, counters: Pick<SignalingCounters, 'drops'>) {
    this.#iceServers = iceServers;
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

  get(connectionId: string): Connection | undefined {
    return this.#byId.get(connectionId);
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
        connection.send(this.#complete(effect.message, connection));
        break;
      case 'close':
        connection.close(effect.reason);
        break;
      default:
        assertNever(effect);
    }
  }

  forward(connectionId: string, frame: string): boolean {
    const isTaken = this.#byId.get(connectionId)?.sendFrame(frame) ?? false;
    if (!isTaken) this.dropFrame();
    return isTaken;
  }

  dropFrame(): void {
    this.#counters.drops.peer_gone += 1;
  }

  /**
   * Adds ICE servers to `room_ready` at delivery, so credentials are made at the last moment for one connection and never
   * pass through a backplane. The seat is set by then, because its effect precedes the message.
   */
  #complete(message: ServerMessage, connection: Connection): ServerMessage {
    const { seat } = connection;
    if (message.type !== 'room_ready' || seat?.roomId !== message.roomId) return message;
    const iceServers = this.#iceServers.for(seat, connection);
    return iceServers.length === 0 ? message : { ...message, iceServers: [...iceServers] };
  }
}
