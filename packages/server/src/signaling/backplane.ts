// Declares the backplane: rooms, their members, and frames between connections.
import type { Effect, Member, PairedDevices } from './room.js';

/** How a member goes: by a message, or because its connection ended. */
export type Departure = 'leave' | 'disconnect';

/**
 * Holds the rooms. Every change of a room is atomic, follows `transition` of room.ts, and has its effects delivered
 * in order. Joins and departures may reject with `Unavailable`. Forwarding never fails: a frame for a closed connection
 * is dropped.
 */
export interface Backplane {
  /**
   * Claims a seat, and gives up the one in the room `leaving` if the claim succeeds. Later events of that room no longer
   * reach the joiner. Resolves to whether the joiner has a seat in `roomId`.
   */
  join(
    roomId: string,
    member: Member,
    devices: PairedDevices | null,
    leaving: string | null,
  ): Promise<boolean>;
  depart(roomId: string, connectionId: string, how: Departure): Promise<void>;
  /**
   * Forwards a frame to `to`, the peer in the seat of `from`, after all earlier frames. Drops it if the two are no longer
   * peers and the sender has not been told yet. Returns whether it was taken, by the peer's connection or for another node.
   */
  forward(from: string, to: string, frame: string): boolean;
  /** Whether `forward` would pass a frame to a connection of this process at once; the fast lane then bypasses it. */
  reaches(from: string, to: string): boolean;
  /** Number of rooms with at least one member. */
  roomCount(): Promise<number>;
  /** Lists the rooms with members, for debugging. */
  rooms(): Promise<readonly { roomId: string; members: number }[]>;
  /** Finishes current tasks and releases shared resources. To be called when all members have gone. */
  close(): Promise<void>;
}

/** The connections of this process, for the backplane. */
export interface LocalConnections {
  /** Carries out an effect; does nothing if the connection is closed. */
  deliver(effect: Effect): void;
  /** Returns whether the connection took the frame; otherwise the frame is counted as dropped. */
  forward(connectionId: string, frame: string): boolean;
  /** Counts a dropped frame. */
  dropFrame(): void;
}
