// Defines and encodes the record of a room in a cluster: its state by room.ts, the node of each member, and a version.
import { ROOM_SEATS } from '@couplet/protocol';
import { emptyRoom, type Member, type PairedDevices, type RoomState } from '../room.js';

/** A former member. */
export interface PastMember extends Member {
  /** The version at which it had left. */
  readonly until: number;
}

export interface RoomRecord {
  /** Grows with every change. Derives from the time, so it also grows if the record was lost. 0: no record. */
  readonly version: number;
  /** The version at which the present members met. Frames of an earlier generation are not delivered. */
  readonly generation: number;
  readonly state: RoomState;
  /** The node of each member, in the order of the members. */
  readonly nodes: readonly string[];
  /**
   * The last connection of each device that has left, latest first. It shows a node without a lease that a device has
   * joined by another connection and left again.
   */
  readonly past: readonly PastMember[];
}

/** Two devices of the pairing, and two others. */
const MAX_PAST = 2 * ROOM_SEATS;

export function absentRecord(roomId: string): RoomRecord {
  return { version: 0, generation: 0, state: emptyRoom(roomId), nodes: [], past: [] };
}

export function nodeOf({ state, nodes }: RoomRecord, connectionId: string): string | undefined {
  return nodes[state.members.findIndex((member) => member.connectionId === connectionId)];
}

/** Puts the version first, in digits, for the script that compares it. */
export function encodeRecord({ version, generation, state, nodes, past }: RoomRecord): string {
  const { roomId, devices, members } = state;
  const seats = members.map(({ connectionId, deviceId, isProved }, at) => [
    connectionId,
    deviceId,
    nodes[at] as string,
    ...(isProved ? [1] : []),
  ]);
  const paired = devices === null ? null : encodeDevices(devices);
  const gone = past.map(({ connectionId, deviceId, until }) => [connectionId, deviceId, until]);
  return `${version}|${JSON.stringify([generation, roomId, paired, seats, gone])}`;
}

/** Without proofs, in the format of earlier versions of the server. */
const encodeDevices = ({ client1, client2, proved1, proved2 }: PairedDevices) =>
  proved1 || proved2
    ? [client1, client2, (proved1 ? 1 : 0) + (proved2 ? 2 : 0)]
    : [client1, client2];

/** A proof is a number at the end, omitted if there is none. */
type Encoded = [
  number,
  string,
  [string, string, number?] | null,
  [string, string | null, string, number?][],
  // Omitted by earlier versions of the server.
  [string, string | null, number][]?,
];

/** Reads what {@link encodeRecord} wrote. */
export function decodeRecord(text: string): RoomRecord {
  const bar = text.indexOf('|');
  const [generation, roomId, paired, seats, gone = []] = JSON.parse(text.slice(bar + 1)) as Encoded;
  const members = seats.map(
    ([connectionId, deviceId, , isProved]): Member => ({
      connectionId,
      deviceId,
      ...(isProved === 1 ? { isProved: true } : {}),
    }),
  );
  return {
    version: Number(text.slice(0, bar)),
    generation,
    state: { roomId, members, devices: paired === null ? null : decodeDevices(paired) },
    nodes: seats.map(([, , node]) => node),
    past: gone.map(([connectionId, deviceId, until]) => ({ connectionId, deviceId, until })),
  };
}

const decodeDevices = ([client1, client2, proved = 0]: [
  string,
  string,
  number?,
]): PairedDevices => ({
  client1,
  client2,
  ...((proved & 1) === 0 ? {} : { proved1: true }),
  ...((proved & 2) === 0 ? {} : { proved2: true }),
});

/** Whether the same connections are members, in any order. */
export function haveSameMembers(one: RoomState, other: RoomState): boolean {
  return (
    one.members.length === other.members.length &&
    one.members.every(({ connectionId }) =>
      other.members.some((member) => member.connectionId === connectionId),
    )
  );
}

/** The {@link RoomRecord.past} of the state after a record. */
export function pastAfter(
  { state, past }: RoomRecord,
  { members }: RoomState,
  version: number,
): readonly PastMember[] {
  const last = new Map<string | null, PastMember>();
  for (const one of [...state.members.map((member) => ({ ...member, until: version })), ...past]) {
    if (!last.has(one.deviceId)) last.set(one.deviceId, one);
  }
  for (const { deviceId } of [...members, { deviceId: null }]) last.delete(deviceId);
  return [...last.values()].slice(0, MAX_PAST);
}

/** Whether the device of a member has joined by another connection since a version, even if that one has left again. */
export function isReplaced(
  { connectionId, deviceId }: Member,
  version: number,
  { state, past }: Pick<RoomRecord, 'state' | 'past'>,
): boolean {
  const later = [...state.members, ...past.filter(({ until }) => until > version)];
  return (
    deviceId !== null &&
    later.some((other) => other.deviceId === deviceId && other.connectionId !== connectionId)
  );
}
