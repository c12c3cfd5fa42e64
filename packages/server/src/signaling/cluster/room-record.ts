// What a cluster keeps of a room: its state by room.ts, the node of each member, and the version of it all.
import { emptyRoom, type Member, type RoomState } from '../room.js';

export interface RoomRecord {
  /** Grows with every change, and beyond the life of the room: made of the time, so that a room made anew comes after. 0: no record. */
  readonly version: number;
  /** Version at which the present members came together. Frames and notices of an earlier company are none of theirs. */
  readonly pair: number;
  readonly state: RoomState;
  /** The node of each member, in the order of the members. */
  readonly nodes: readonly string[];
}

/** The room that nobody has ever entered. */
export function absentRecord(roomId: string): RoomRecord {
  return { version: 0, pair: 0, state: emptyRoom(roomId), nodes: [] };
}

export function nodeOf({ state, nodes }: RoomRecord, connectionId: string): string | undefined {
  return nodes[state.members.findIndex((member) => member.connectionId === connectionId)];
}

/** The version comes first, in digits: a script compares it without reading the rest. */
export function encodeRecord({ version, pair, state, nodes }: RoomRecord): string {
  const { roomId, devices, members } = state;
  const seats = members.map(({ connectionId, deviceId }, at) => [
    connectionId,
    deviceId,
    nodes[at] as string,
  ]);
  const paired = devices === null ? null : [devices.client1, devices.client2];
  return `${version}|${JSON.stringify([pair, roomId, paired, seats])}`;
}

type Encoded = [number, string, [string, string] | null, [string, string | null, string][]];

/** Reads what {@link encodeRecord} wrote. */
export function decodeRecord(text: string): RoomRecord {
  const bar = text.indexOf('|');
  const [pair, roomId, paired, seats] = JSON.parse(text.slice(bar + 1)) as Encoded;
  const members: Member[] = seats.map(([connectionId, deviceId]) => ({ connectionId, deviceId }));
  const devices = paired === null ? null : { client1: paired[0], client2: paired[1] };
  return {
    version: Number(text.slice(0, bar)),
    pair,
    state: { roomId, members, devices },
    nodes: seats.map(([, , node]) => node),
  };
}

/** Whether the same connections sit there, in whatever order. */
export function sameCompany(one: RoomState, other: RoomState): boolean {
  return (
    one.members.length === other.members.length &&
    one.members.every(({ connectionId }) =>
      other.members.some((member) => member.connectionId === connectionId),
    )
  );
}
