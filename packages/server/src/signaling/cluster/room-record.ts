// Defines the record of a room in a cluster (its state by room.ts, the node of each member, a version), its text and its store.
import { ROOM_SEATS } from '@couplet/protocol';
import { emptyRoom, type Member, type PairedDevices, type RoomState } from '../room.js';

export interface SeatedMember extends Member {
  /** The lease of its node. */
  readonly node: string;
}

/** A former member. */
export interface PastMember extends Member {
  /** The version at which it had left. */
  readonly until: number;
}

export interface RoomRecord extends RoomState {
  /** Grows with every change. Derives from the time, so it also grows if the record was lost. 0: no record. */
  readonly version: number;
  /** The version at which the present members met. Frames of an earlier generation are not delivered. */
  readonly generation: number;
  readonly members: readonly SeatedMember[];
  /**
   * The last connection of each device that has left, latest first. It shows a node without a lease that a device has
   * joined by another connection and left again.
   */
  readonly past: readonly PastMember[];
}

/** Keeps the records of all rooms. Rejects with `Unavailable` if it is unreachable; a change may then have been made. */
export interface RoomRecordStore {
  /** Resolves to the record, whose life is extended by some hours, or to {@link absentRecord}. */
  read(roomId: string): Promise<RoomRecord>;
  /**
   * Writes `next` if the version is still `expected`; 0: if there is no record.
   *
   * @param deadline - of the lease, by the clock of the store: nothing is written after it
   * @param isNew - whether no member is known: a full store refuses to create such a room
   */
  compareAndSet(
    expected: number,
    next: RoomRecord,
    deadline: number,
    isNew: boolean,
  ): Promise<SetOutcome>;
  /** The records of all rooms, including empty ones. */
  list(): Promise<readonly RoomRecord[]>;
}

export type SetOutcome =
  | { kind: 'set' }
  /** The version differed; `record` is the present one. */
  | { kind: 'conflict'; record: RoomRecord }
  /** The deadline has passed. */
  | { kind: 'late' }
  /** There is no record, and no memory for one. Nothing was written. */
  | { kind: 'full'; cause: unknown };

/** How a change removed members, by connection, if not because their connection has ended. */
export type Gone = Readonly<Record<string, 'left' | 'replaced'>>;

/** Two devices of the pairing, and two others. */
const MAX_PAST = 2 * ROOM_SEATS;

export function absentRecord(roomId: string): RoomRecord {
  return { ...emptyRoom(roomId), version: 0, generation: 0, members: [], past: [] };
}

/** The node of a member; undefined if the connection is not a member. */
export function nodeOf({ members }: RoomRecord, connectionId: string): string | undefined {
  return members.find((member) => member.connectionId === connectionId)?.node;
}

/** Puts the version first, in digits, for the script that compares it. */
export function encodeRecord(record: RoomRecord): string {
  const { version, generation, roomId, devices, members, past } = record;
  const seats = members.map((it) => [it.connectionId, it.deviceId, it.node, it.isProved ? 1 : 0]);
  const paired = devices && [devices.client1, devices.client2, proofsOf(devices)];
  const gone = past.map(({ connectionId, deviceId, until }) => [connectionId, deviceId, until]);
  return `${version}|${JSON.stringify([generation, roomId, paired, seats, gone])}`;
}

const proofsOf = ({ proved1, proved2 }: PairedDevices) => (proved1 ? 1 : 0) + (proved2 ? 2 : 0);

/** Earlier versions of the server omit proofs that are 0, and former members. */
type Encoded = [
  generation: number,
  roomId: string,
  paired: [client1: string, client2: string, proofs?: number] | null,
  seats: [connectionId: string, deviceId: string | null, node: string, proof?: number][],
  gone?: [connectionId: string, deviceId: string | null, until: number][],
];

/** Reads what {@link encodeRecord} wrote. */
export function decodeRecord(text: string): RoomRecord {
  const bar = text.indexOf('|');
  const [generation, roomId, paired, seats, gone = []] = JSON.parse(text.slice(bar + 1)) as Encoded;
  const [client1, client2, proofs = 0] = paired ?? ['', ''];
  const proved1 = (proofs & 1) !== 0 || undefined;
  const proved2 = (proofs & 2) !== 0 || undefined;
  return {
    version: Number(text.slice(0, bar)),
    generation,
    roomId,
    devices: paired && { client1, client2, proved1, proved2 },
    members: seats.map(([connectionId, deviceId, node, proof]) => {
      return { connectionId, deviceId, node, isProved: proof === 1 || undefined };
    }),
    past: gone.map(([connectionId, deviceId, until]) => ({ connectionId, deviceId, until })),
  };
}

/** Whether the same connections are members, in any order. */
export function haveSameMembers(one: RoomState, other: RoomState): boolean {
  const ids = ({ members }: RoomState) => members.map(({ connectionId }) => connectionId).sort();
  return ids(one).join() === ids(other).join();
}

/** The {@link RoomRecord.past} of the state after a record. */
export function pastAfter(before: RoomRecord, after: RoomState, until: number): PastMember[] {
  const last = new Map<string | null, PastMember>();
  const departed = before.members.map((member) => ({ ...member, until }));
  for (const one of [...departed, ...before.past]) {
    if (!last.has(one.deviceId)) last.set(one.deviceId, one);
  }
  for (const { deviceId } of [...after.members, { deviceId: null }]) last.delete(deviceId);
  return [...last.values()].slice(0, MAX_PAST);
}

/** Whether the device of a member has joined by another connection since a version, even if that one has left again. */
export function isReplaced(
  { connectionId, deviceId }: Member,
  version: number,
  { members, past }: RoomState & Pick<RoomRecord, 'past'>,
): boolean {
  const later = [...members, ...past.filter(({ until }) => until > version)];
  return (
    deviceId !== null &&
    later.some((other) => other.deviceId === deviceId && other.connectionId !== connectionId)
  );
}
