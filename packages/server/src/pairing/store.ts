// What pairing needs of a store, and what its operations come to. Every operation is atomic and, once answered, durable.
import type { DeleteProofs, DeviceSecret } from '../base/device-secrets.js';
import type { KeyReused, Repeatable } from '../http/idempotency.js';

/** An attempt that a store counts in the budgets of an address, if it keeps budgets itself. */
export interface Guess {
  /** What the client's address counts as. */
  readonly address: string;
  /** Called where the attempt was counted as a failed guess. */
  readonly failed: () => void;
}

/** Two devices that accepted each other. */
export interface Room {
  roomId: string;
  /** Device that created the join code. */
  client1: string;
  /** Device that accepted it. */
  client2: string;
  /** What is kept of the secret of client1; absent where none was handed out. */
  secret1?: DeviceSecret | undefined;
  /** What is kept of the secret of client2. */
  secret2?: DeviceSecret | undefined;
}

/** A pending that a device asks for. */
export interface NewPending {
  joinCode: string;
  client1: string;
  expiresAt: number;
  /** What the client's address counts as; a store keeps no address. */
  address: string;
  /** Secret that the device gets; the store keeps its digest. */
  secret: string;
  /** Secret that the device has sent, to renew its own code. */
  proof?: string | undefined;
}

export type CreateOutcome =
  /** `secret`: the new one, or the proof where that was right. Absent in outcomes that an older version has kept. */
  | { kind: 'created'; expiresAt: number; secret?: string }
  /** The code is live for another device, accepted and not yet collected, or its creator has to prove itself. */
  | { kind: 'conflict' }
  /** The device, or its address, has as many live pendings as it may have. */
  | { kind: 'too_many' };

/** A device that accepts a code. */
export interface Acceptance {
  joinCode: string;
  client2: string;
  /** Id of the room that is made. */
  roomId: string;
  /** The pending can be collected until then, or until its own expiry, whichever is later. */
  collectableUntil: number;
  /** Secret that the device gets; the store keeps its digest. */
  secret: string;
}

export type AcceptOutcome =
  /** `secret`: absent in outcomes that an older version has kept. */
  | { kind: 'accepted'; roomId: string; secret?: string }
  | { kind: 'not_found_or_expired' }
  /** The accepting device created the code. */
  | { kind: 'own_code' }
  | { kind: 'conflict' };

export type CheckOutcome =
  /** The pending was accepted, and is now deleted. */
  | { kind: 'collected'; roomId: string }
  | { kind: 'waiting'; expiresAt: number }
  | { kind: 'not_found_or_expired' };

export interface CancelOutcome {
  kind: 'cancelled';
}

export interface PurgeOutcome {
  kind: 'purged';
  roomsDeleted: number;
  pendingsDeleted: number;
  /** Rooms that want the secret of one of their devices. */
  roomsKept: number;
  /** Pendings that do, or whose room does. */
  pendingsKept: number;
}

export type DeleteOutcome =
  | 'deleted'
  | 'absent'
  /** The room wants the secret of one of its devices; or a secret was sent that is of neither. */
  | 'forbidden';

export interface SweepCounts {
  pendings: number;
  rooms: number;
}

export interface StoreCounts {
  pendings: number;
  rooms: number;
  idempotencyRecords: number;
}

/** Most rows of each kind, and how long an unused room is kept. */
export interface StoreLimits {
  /** Rooms that nobody has asked for in this time are swept, in milliseconds; 0 keeps them for ever. */
  roomIdleMs: number;
  pendingsPerDevice: number;
  pendingsPerAddress: number;
  rooms: number;
  idempotencyRecords: number;
}

export const UNLIMITED: StoreLimits = {
  roomIdleMs: 0,
  pendingsPerDevice: Number.MAX_SAFE_INTEGER,
  pendingsPerAddress: Number.MAX_SAFE_INTEGER,
  rooms: Number.MAX_SAFE_INTEGER,
  idempotencyRecords: Number.MAX_SAFE_INTEGER,
};

/** The use of a room is noted at most this often: a note is a durable write, and idleness is counted in days. */
export const USE_GRANULARITY_MS = 24 * 3600 * 1000;

/**
 * Keeps pendings and rooms. Times are milliseconds since the Unix epoch; a pending is live while `now < expiresAt`.
 * A store with a clock of its own takes from `now` how far off other times are, and answers `expiresAt` of a create by
 * its clock, that of a check by the caller's.
 * Any operation may reject with `Unavailable` when the store cannot be reached or written, or is full.
 *
 * With a `Repeatable`, the first outcome is kept in the same transaction as the effect, and a repeat comes to that
 * outcome again without another effect.
 *
 * A store that keeps budgets itself, such as that of many nodes, has `failedGuesses`. It counts a `Guess` in the
 * transaction of its effect, and rejects with `Limited` where a budget refuses a request.
 */
export interface PairingStore {
  /** Makes a pending, or renews the same device's still-waiting one. An expired code is free. */
  create(
    pending: NewPending,
    now: number,
    once?: Repeatable,
    guess?: Guess,
  ): Promise<CreateOutcome | KeyReused>;
  /** Gives a live, waiting pending to `client2` and makes the room; of racing calls one wins. */
  accept(
    acceptance: Acceptance,
    now: number,
    once?: Repeatable,
    guess?: Guess,
  ): Promise<AcceptOutcome | KeyReused>;
  /**
   * Tells the creator of a pending how it stands; an accepted one is deleted with the answer.
   *
   * A right proof marks the device as proved, in its pending and its room: a check without it then finds nothing. Nor
   * does one with a wrong proof, ever.
   *
   * @param final - whether `waiting` is the answer that the client gets, and not just a look on the way to it
   */
  check(
    joinCode: string,
    client1: string,
    now: number,
    once?: Repeatable,
    final?: boolean,
    proof?: string,
    guess?: Guess,
  ): Promise<CheckOutcome | KeyReused>;
  /**
   * Deletes a pending of this device that nobody has accepted, if the proof is as for a check. The outcome does not tell
   * whether there was one.
   */
  cancel(
    joinCode: string,
    client1: string,
    now: number,
    once?: Repeatable,
    proof?: string,
  ): Promise<CancelOutcome | KeyReused>;
  /** Finds a room; counts as its use. */
  findRoom(roomId: string, now: number): Promise<Room | undefined>;
  /** Marks a device of a room as proved; resolves to whether the room is there. */
  prove(roomId: string, deviceId: string): Promise<boolean>;
  deleteRoom(roomId: string, proofs?: DeleteProofs): Promise<DeleteOutcome>;
  /**
   * Deletes every room and pending of any of these devices, in one transaction; a row counts once. Those in which a
   * device has proved itself are kept, unless a secret of one of their devices is among the proofs.
   */
  purge(
    deviceIds: readonly string[],
    now: number,
    once?: Repeatable,
    proofs?: DeleteProofs,
  ): Promise<PurgeOutcome | KeyReused>;
  /**
   * What the first request with this key came to; undefined where it never came. Absent in a store that keeps budgets
   * itself: there a repeat costs nothing anyway.
   */
  recall?<T>(now: number, once: Repeatable): Promise<T | KeyReused | undefined>;
  /** The time at which this request first came: `now`, or what it was then. */
  firstTime(now: number, once: Repeatable): Promise<{ kind: 'first'; at: number } | KeyReused>;
  /** Failed guesses of this minute; absent in a store that leaves budgets to its caller. */
  failedGuesses?(now: number): Promise<number>;
  /** Deletes what has expired, and rooms idle for longer than the store was told to keep them. */
  sweep(now: number): Promise<SweepCounts>;
  counts(): Promise<StoreCounts>;
  /** Writes something durably; rejects when that cannot be done. */
  probe(now: number): Promise<void>;
  /** Calls `listener` with a join code whenever a check of it may now come to another answer. */
  onChange(listener: (joinCode: string) => void): void;
  close(): Promise<void>;
}
