// What signaling needs to know who sits where and to reach a peer: rooms, their members, and frames between connections.
import type { Effect, Member, PairedDevices } from './room.js';

export interface RoomSummary {
  roomId: string;
  members: number;
}

/** How a member goes: on purpose, or without a word. */
export type Departure = 'leave' | 'disconnect';

/**
 * Holds the rooms. Every change of a room is atomic, follows `transition` of room.ts, and has its effects delivered
 * in order. Joins and departures may reject with `Unavailable`; forwarding never fails, a frame for a connection
 * that is gone is dropped.
 */
export interface Backplane {
  /**
   * Claims a seat, and gives up the one in `leaving` where the claim succeeds: who is refused keeps the seat it has.
   * Nothing that happens in the old room afterwards reaches the one who moved. Resolves to whether the joiner now sits
   * in the room.
   */
  join(
    roomId: string,
    member: Member,
    devices: PairedDevices | null,
    leaving: string | null,
  ): Promise<boolean>;
  depart(roomId: string, connectionId: string, how: Departure): Promise<void>;
  /**
   * Hands a frame of a connection to its peer, after everything that was handed to it before. Where the two do not sit
   * opposite each other, or no longer, it is dropped: the sender may not have heard yet. Returns whether it was taken: by
   * the peer's connection, or for another node.
   */
  forward(from: string, to: string, frame: string): boolean;
  /** Whether `forward` would hand over to a connection of this process, and at once: then it may be gone round. */
  reaches(from: string, to: string): boolean;
  /** How many rooms have at least one member. */
  roomCount(): Promise<number>;
  /** Those rooms, for debugging. */
  rooms(): Promise<readonly RoomSummary[]>;
  /** Finishes what is under way, and gives up what it holds elsewhere. For when all members have gone. */
  close(): Promise<void>;
}

/** The backplane's way to the connections of this process. */
export interface LocalConnections {
  /** Carries an effect out; for a connection that is gone, nothing happens. */
  deliver(effect: Effect): void;
  /** Returns whether the connection took the frame; if it did not, the frame is counted as one that reaches nobody. */
  forward(connectionId: string, frame: string): boolean;
  /** Counts a frame that reaches nobody. */
  dropFrame(): void;
}
