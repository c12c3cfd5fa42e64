// What pairing needs of a store, and what its operations come to. Every operation is atomic and, once answered, durable.

/** Two devices that accepted each other. */
export interface Room {
  roomId: string;
  /** Device that created the join code. */
  client1: string;
  /** Device that accepted it. */
  client2: string;
}

export type CreateOutcome =
  | { kind: 'created' }
  /** The code is live for another device, or accepted and not yet collected. */
  | { kind: 'conflict' };

export type AcceptOutcome =
  | { kind: 'accepted' }
  | { kind: 'not_found_or_expired' }
  /** The accepting device created the code. */
  | { kind: 'own_code' }
  | { kind: 'conflict' };

export type CheckOutcome =
  /** The pending was accepted, and is now deleted. */
  | { kind: 'collected'; roomId: string }
  | { kind: 'waiting'; expiresAt: number }
  | { kind: 'not_found_or_expired' };

export interface PurgeCounts {
  roomsDeleted: number;
  pendingsDeleted: number;
}

export interface SweepCounts {
  pendings: number;
  rooms: number;
}

/**
 * Keeps pendings and rooms. Times are milliseconds since the Unix epoch; a pending is live while `now < expiresAt`.
 * Any operation may reject with `Unavailable` when the store cannot be reached or written.
 */
export interface PairingStore {
  /** Makes a pending, or renews the same device's still-waiting one. An expired code is free. */
  create(joinCode: string, client1: string, expiresAt: number, now: number): Promise<CreateOutcome>;
  /**
   * Gives a live, waiting pending to `client2` and makes the room `roomId`; of racing calls one wins. The pending
   * stays collectable until `collectableUntil` or its own expiry, whichever is later.
   */
  accept(
    joinCode: string,
    client2: string,
    roomId: string,
    collectableUntil: number,
    now: number,
  ): Promise<AcceptOutcome>;
  /** Tells the creator of a pending how it stands; an accepted one is deleted with the answer. */
  check(joinCode: string, client1: string, now: number): Promise<CheckOutcome>;
  /** Finds a room; counts as its use. */
  findRoom(roomId: string, now: number): Promise<Room | undefined>;
  deleteRoom(roomId: string): Promise<void>;
  /** Deletes every room and pending of any of these devices, in one transaction; a row counts once. */
  purge(deviceIds: readonly string[]): Promise<PurgeCounts>;
  /** Deletes expired pendings, and rooms idle for longer than the store was told to keep them. */
  sweep(now: number): Promise<SweepCounts>;
  /** Calls `listener` with a join code whenever a check of it may now come to another answer. */
  onChange(listener: (joinCode: string) => void): void;
  close(): Promise<void>;
}
