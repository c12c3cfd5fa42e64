// The two-seat rule, pure: (room, event) → (room, effects). docs/protocol.md §5 has the state table.
//
//   members │ event                     │ members after │ told
//   ────────┼───────────────────────────┼───────────────┼─────────────────────────────────────────────────────────
//   0       │ join                      │ 1             │ joiner: room_joined
//   1       │ join by another           │ 2             │ joiner: room_joined; joiner, waiter: room_ready
//   2       │ join by a third           │ 2             │ joiner: room_full
//   1, 2    │ join by a present member  │ same          │ joiner: room_joined, room_ready if two are in
//   1, 2    │ join by a present device  │ same          │ ghost: close 4001; peer: peer_disconnected; then as a join
//   1, 2    │ leave                     │ one less      │ leaver: left_room; peer: peer_left
//   1, 2    │ move to another room      │ one less      │ peer: peer_left
//   1, 2    │ disconnect                │ one less      │ peer: peer_disconnected
//
// Roles follow from the room alone: in a paired room the device that made the code is the initiator and the other is
// not, whoever came first; where neither device is known, the longest-present member is.
import {
  type CloseReason,
  ROOM_SEATS,
  type ServerMessage,
  SIGNALING_ERRORS,
} from '@couplet/protocol';
import { assertNever } from '../platform/assert-never.js';

export interface Member {
  connectionId: string;
  /** What the member says its device is; null where it did not say. */
  deviceId: string | null;
}

/** The two devices of a paired room. */
export interface PairedDevices {
  client1: string;
  client2: string;
}

export interface RoomState {
  readonly roomId: string;
  /** At most two, longest present first; who takes a ghost's seat over takes its place here too. */
  readonly members: readonly Member[];
  /** Null in a room that no pairing made, and until a member that gave its device has come. */
  readonly devices: PairedDevices | null;
}

export type RoomEvent =
  | { kind: 'join'; member: Member; devices: PairedDevices | null }
  | { kind: 'leave' | 'move' | 'disconnect'; connectionId: string };

/** Something that happens to one connection, in the order of the list. */
export type Effect =
  /** The seat this connection now holds, and who sits opposite; null: none any more. */
  | { kind: 'seat'; to: string; seat: Seat | null }
  | { kind: 'send'; to: string; message: ServerMessage }
  | { kind: 'close'; to: string; reason: CloseReason };

export interface Seat {
  readonly roomId: string;
  readonly peerId: string | null;
  /** The device that sits here, where it is one of the two that paired the room; null: nobody vouches for this member. */
  readonly pairedDevice: string | null;
}

export interface Transition {
  readonly room: RoomState;
  readonly effects: readonly Effect[];
}

export function emptyRoom(roomId: string): RoomState {
  return { roomId, members: [], devices: null };
}

/** Applies one event; an event of a connection that is not in the room changes nothing and tells nobody. */
export function transition(room: RoomState, event: RoomEvent): Transition {
  switch (event.kind) {
    case 'join':
      return join(room, event.member, event.devices);
    case 'leave':
    case 'move':
    case 'disconnect':
      return depart(room, event.kind, event.connectionId);
    default:
      return assertNever(event);
  }
}

function join(before: RoomState, joiner: Member, devices: PairedDevices | null): Transition {
  const present = before.members.find((member) => member.connectionId === joiner.connectionId);
  const ghost = before.members.find(
    (member) =>
      member !== present && member.deviceId !== null && member.deviceId === joiner.deviceId,
  );
  // A third join is refused, not queued: the app shows at once that the room is taken.
  if (!present && !ghost && before.members.length === ROOM_SEATS) {
    const { text } = SIGNALING_ERRORS.room_full;
    const message = {
      type: 'room_full',
      error: text,
      code: 'room_full',
      roomId: before.roomId,
    } as const;
    return { room: before, effects: [{ kind: 'send', to: joiner.connectionId, message }] };
  }

  const seated = { ...joiner, deviceId: joiner.deviceId ?? present?.deviceId ?? null };
  const replaced = ghost ?? present;
  const members = replaced
    ? before.members
        .filter((member) => member === replaced || member !== present)
        .map((member) => (member === replaced ? seated : member))
    : [...before.members, seated];
  const room = { roomId: before.roomId, members, devices: devices ?? before.devices };

  const effects: Effect[] = [];
  if (ghost) {
    effects.push({ kind: 'seat', to: ghost.connectionId, seat: null });
    effects.push({ kind: 'close', to: ghost.connectionId, reason: 'replaced' });
  }
  const peer = peerOf(room, joiner.connectionId);
  if (ghost && peer) effects.push(tellPeer(peer.connectionId, 'disconnect'));
  effects.push(seatOf(room, joiner.connectionId));
  effects.push({
    kind: 'send',
    to: joiner.connectionId,
    message: roomJoined(room, joiner.connectionId),
  });
  if (!peer) return { room, effects };

  effects.push({
    kind: 'send',
    to: joiner.connectionId,
    message: roomReady(room, joiner.connectionId),
  });
  // One who joins again disturbs nobody, unless what it said of its device changes the peer's role.
  const undisturbed =
    present && !ghost && initiator(before)?.connectionId === initiator(room)?.connectionId;
  if (!undisturbed) {
    effects.push(seatOf(room, peer.connectionId));
    effects.push({
      kind: 'send',
      to: peer.connectionId,
      message: roomReady(room, peer.connectionId),
    });
  }
  return { room, effects };
}

function depart(
  before: RoomState,
  how: 'leave' | 'move' | 'disconnect',
  connectionId: string,
): Transition {
  const members = before.members.filter((member) => member.connectionId !== connectionId);
  if (members.length === before.members.length) return { room: before, effects: [] };
  const room = { ...before, members };
  const effects: Effect[] = [];
  if (how === 'leave') {
    effects.push({ kind: 'seat', to: connectionId, seat: null });
    effects.push({
      kind: 'send',
      to: connectionId,
      message: { type: 'left_room', roomId: room.roomId },
    });
  }
  for (const peer of members) {
    effects.push(seatOf(room, peer.connectionId));
    effects.push(tellPeer(peer.connectionId, how));
  }
  return { room, effects };
}

/** The member that makes the offer; undefined only in an empty room. */
export function initiator({ members, devices }: RoomState): Member | undefined {
  if (devices === null) return members[0];
  const creator = members.find((member) => member.deviceId === devices.client1);
  if (creator) return creator;
  const acceptor = members.find((member) => member.deviceId === devices.client2);
  // The acceptor never initiates: opposite it sits the creator, who did not say so, or nobody yet.
  return acceptor ? members.find((member) => member !== acceptor) : members[0];
}

/** Whether this member makes the offer. */
export function isInitiator(room: RoomState, connectionId: string): boolean {
  return initiator(room)?.connectionId === connectionId;
}

/** Who sits opposite. */
export function peerOf(room: RoomState, connectionId: string): Member | undefined {
  return room.members.find((member) => member.connectionId !== connectionId);
}

/** Tells a connection which seat it holds, and who sits opposite. */
export function seatOf(room: RoomState, connectionId: string): Effect {
  const peerId = peerOf(room, connectionId)?.connectionId ?? null;
  const pairedDevice = pairedDeviceOf(room, connectionId);
  return { kind: 'seat', to: connectionId, seat: { roomId: room.roomId, peerId, pairedDevice } };
}

/** The device of a member, where it is one of the two that paired the room. */
export function pairedDeviceOf(
  { members, devices }: RoomState,
  connectionId: string,
): string | null {
  const deviceId = members.find((member) => member.connectionId === connectionId)?.deviceId ?? null;
  const paired = deviceId === devices?.client1 || deviceId === devices?.client2;
  return paired ? deviceId : null;
}

function roomJoined(room: RoomState, connectionId: string): ServerMessage {
  return {
    type: 'room_joined',
    roomId: room.roomId,
    userCount: room.members.length,
    isInitiator: isInitiator(room, connectionId),
    ready: room.members.length === ROOM_SEATS,
  };
}

/** What a member of a full room is told. */
export function roomReady(room: RoomState, connectionId: string): ServerMessage {
  return {
    type: 'room_ready',
    roomId: room.roomId,
    message: 'Both users connected. Ready for WebRTC handshake.',
    userCount: ROOM_SEATS,
    isInitiator: isInitiator(room, connectionId),
  };
}

/** What a member is told of a peer that goes. */
export function tellPeer(to: string, how: 'leave' | 'move' | 'disconnect'): Effect {
  const message: ServerMessage =
    how === 'disconnect'
      ? { type: 'peer_disconnected', message: 'Other user disconnected' }
      : { type: 'peer_left', message: 'Other user left the room' };
  return { kind: 'send', to, message };
}
