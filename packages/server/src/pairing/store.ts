// Declares the store that pairing needs, and the outcomes of its operations. Every operation is atomic, and durable once
// answered.
import type { PushTarget } from '@couplet/protocol';
import type { DeleteProofs, PairedSecrets } from '../base/device-secrets.js';
import type { KeyReused, Repeatable } from '../http/idempotency.js';

/** An attempt that a store with its own budgets counts in the budgets of an address. */
export interface Guess {
  /** Key under which the client's address is counted. */
  readonly address: string;
  /** Called if the attempt was counted as a failed guess. */
  readonly failed: () => void;
}

/** Two paired devices. */
export interface Room extends PairedSecrets {
  roomId: string;
}

/** A pending that a device wants to create. */
export interface NewPending {
  joinCode: string;
  client1: string;
  expiresAt: number;
  /** Key under which the client's address is counted; a store keeps no address. */
  address: string;
  /** Secret that the device gets; the store keeps its digest. */
  secret: string;
  /** Secret that the device has sent in order to renew its own code. */
  proof?: string | undefined;
  /** The push target of the device; moves to the room when the code is accepted. */
  push?: PushTarget | undefined;
}

export type CreateOutcome =
  /** `secret`: the new one, or the proof if it was correct. Absent in outcomes that an older version stored. */
  | { kind: 'created'; expiresAt: number; secret?: string }
  /** The code is live for another device, is accepted and not yet collected, or needs the secret of its creator. */
  | { kind: 'conflict' }
  /** The device or its address has reached its limit of live pendings. */
  | { kind: 'too_many' };

/** A device that accepts a code. */
export interface Acceptance {
  joinCode: string;
  client2: string;
  /** Id of the new room. */
  roomId: string;
  /** The pending can be collected until this time or until its own expiry, whichever is later. */
  collectableUntil: number;
  /** Secret that the device gets; the store keeps its digest. */
  secret: string;
  /** The push target of the device. */
  push?: PushTarget | undefined;
}

export type AcceptOutcome =
  /** `secret`: absent in outcomes that an older version stored. */
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
  /** Rooms that were kept because they need the secret of one of their devices. */
  roomsKept: number;
  /** Pendings that were kept because they, or their room, need such a secret. */
  pendingsKept: number;
}

export type DeleteOutcome =
  | 'deleted'
  | 'absent'
  /** The room needs the secret of one of its devices, or the secret that was sent belongs to neither. */
  | 'forbidden';

export interface SetPushOutcome {
  /** `not_paired`: there is no such room, or the device is not one of its two. */
  kind: 'set' | 'not_paired';
}

export type ClaimOutcome =
  | { kind: 'claimed'; target: PushTarget }
  /** The device of the room has no push target, or there is no such device or room. */
  | { kind: 'no_target' }
  /** The last claim was less than `everyMs` ago. */
  | { kind: 'too_soon' };

export interface SweepCounts {
  pendings: number;
  rooms: number;
}

export interface StoreCounts {
  pendings: number;
  rooms: number;
  idempotencyRecords: number;
}

/** Maximum number of rows of each kind, and how long an unused room is kept. */
export interface StoreLimits {
  /** Rooms unused for this many milliseconds are swept; 0 keeps them forever. */
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

/** The use of a room is recorded at most this often, because each record is a durable write and idle time is in days. */
export const USE_GRANULARITY_MS = 24 * 3600 * 1000;

/**
 * Keeps pendings and rooms. Times are milliseconds since the Unix epoch; a pending is live while `now < expiresAt`.
 * A store with its own clock uses `now` only to compute durations. It returns the `expiresAt` of a create by its own
 * clock, and that of a check by the caller's clock.
 * Any operation may reject with `Unavailable` if the store cannot be reached or written, or is full.
 *
 * With a `Repeatable`, the first outcome is kept in the same transaction as the effect. A repeat returns that outcome
 * and has no further effect.
 *
 * A store that keeps budgets itself, such as the one for several nodes, has `failedGuesses`. It counts a `Guess` in the
 * transaction of its effect, and rejects with `Limited` if a budget refuses the request.
 */
export interface PairingStore {
  /** Creates a pending, or renews a waiting one of the same device. An expired code is free. */
  create(
    pending: NewPending,
    now: number,
    once?: Repeatable,
    guess?: Guess,
  ): Promise<CreateOutcome | KeyReused>;
  /** Gives a live, waiting pending to `client2` and creates the room. Of concurrent calls, exactly one succeeds. */
  accept(
    acceptance: Acceptance,
    now: number,
    once?: Repeatable,
    guess?: Guess,
  ): Promise<AcceptOutcome | KeyReused>;
  /**
   * Returns the state of a pending to its creator; an accepted pending is deleted with the answer.
   *
   * A correct proof marks the device as proved, in its pending and its room. From then on, a check without the proof
   * finds nothing. A check with a wrong proof never finds anything.
   *
   * @param final - whether the client gets `waiting` as its answer; false if the check is held and the store read again
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
   * Deletes a pending of this device that no device has accepted, under the same rules of proof as a check. The outcome
   * does not reveal whether the pending existed.
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
  /** Marks a device of a room as proved; resolves to whether the room exists. */
  prove(roomId: string, deviceId: string): Promise<boolean>;
  deleteRoom(roomId: string, proofs?: DeleteProofs): Promise<DeleteOutcome>;
  /**
   * Deletes every room and pending of any of these devices, in one transaction; each row counts once. A row in which a
   * device has proved itself is kept, unless the proofs include a secret of one of its devices.
   */
  purge(
    deviceIds: readonly string[],
    now: number,
    once?: Repeatable,
    proofs?: DeleteProofs,
  ): Promise<PurgeOutcome | KeyReused>;
  /** Renews the push target of a device of a room; null deletes it. */
  setPushTarget(
    roomId: string,
    deviceId: string,
    target: PushTarget | null,
    now: number,
    once?: Repeatable,
  ): Promise<SetPushOutcome | KeyReused>;
  /**
   * Returns the push target of a device of a room, at most once in `everyMs`. Of concurrent calls, at any node, exactly
   * one succeeds.
   */
  claimPush(roomId: string, deviceId: string, everyMs: number, now: number): Promise<ClaimOutcome>;
  /** Deletes the push target of a device of a room, unless the device has renewed it since. */
  forgetPushTarget(roomId: string, deviceId: string, target: PushTarget): Promise<void>;
  /**
   * Resolves to the outcome of the first request with this key; undefined if there was none. Absent in a store that
   * keeps budgets itself, because there a repeat is free in any case.
   */
  recall?<T>(now: number, once: Repeatable): Promise<T | KeyReused | undefined>;
  /** Resolves to the time of the first request with this key: `now` if this is the first. */
  firstTime(now: number, once: Repeatable): Promise<{ kind: 'first'; at: number } | KeyReused>;
  /** Failed guesses of this minute; absent in a store whose caller keeps the budgets. */
  failedGuesses?(now: number): Promise<number>;
  /** Deletes expired rows, and rooms idle for longer than `roomIdleMs`. */
  sweep(now: number): Promise<SweepCounts>;
  counts(): Promise<StoreCounts>;
  /** Makes a durable write, for readiness; rejects if that fails. */
  probe(now: number): Promise<void>;
  /**
   * Calls `listener` with a join code whenever a check of that code may return another answer than before. The call may also
   * come before the change is committed, if a check that starts at once waits for the commit.
   */
  onChange(listener: (joinCode: string) => void): void;
  close(): Promise<void>;
}
