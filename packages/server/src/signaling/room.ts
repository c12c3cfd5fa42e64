// Implements the rules of rooms as a pure function: (room, event) → (room, effects). docs/protocol.md §5 has the state table.
//
//   members │ event                     │ members after │ told
//   ────────┼───────────────────────────┼───────────────┼─────────────────────────────────────────────────────────
//   0       │ join                      │ 1             │ joiner: room_joined
//   1       │ join by another           │ 2             │ joiner: room_joined; joiner, waiter: room_ready
//   2       │ join by a third           │ 2             │ joiner: room_full
//   1, 2    │ join by a present member  │ same          │ joiner: room_joined, room_ready if two are in
//   1, 2    │ join by a present device  │ same          │ earlier connection: close 4001; peer: peer_disconnected; then as a join
//   1, 2    │ join of a proved device   │ 1, 2          │ intruders: close 4001; peer: peer_disconnected; then as a join
//   0, 1, 2 │ join of an intruder       │ same          │ joiner: error forbidden
//   1, 2    │ leave                     │ one less      │ leaver: left_room; peer: peer_left
//   1, 2    │ move to another room      │ one less      │ peer: peer_left
//   1, 2    │ disconnect                │ one less      │ peer: peer_disconnected
//
// Roles depend on the room alone. In a paired room, the device that made the code is the initiator, regardless of the
// order of arrival. If neither device is present, the longest-present member is the initiator.
//
// A device that has proved itself with its secret owns one seat. An intruder is a member without a right to a seat:
// it claims to be a proved device without proof, or both seats are owned and it is proved as neither device.
// A proved device gets its seat even if intruders joined before its proof was recorded.
import {
  type CloseReason,
  ROOM_SEATS,
  type ServerMessage,
  SIGNALING_ERRORS,
} from '@couplet/protocol';
import { assertNever } from '../base/assert-never.js';

export interface Member {
  connectionId: string;
  /** The device id that the member sent; null if it sent none. */
  deviceId: string | null;
  /** Whether it has proved that it is this device. */
  isProved?: boolean | undefined;
}

/** The two devices of a paired room. */
export interface PairedDevices {
  client1: string;
  client2: string;
  /** Whether client1 has ever proved itself; its seat then requires proof. */
  proved1?: boolean | undefined;
  proved2?: boolean | undefined;
}

export interface RoomState {
  readonly roomId: string;
  /** At most two, longest present first; a take-over keeps the position. */
  readonly members: readonly Member[];
  /** Null in a room without pairing, and until a member that sent its device id has joined. */
  readonly devices: PairedDevices | null;
}

export type RoomEvent =
  | { kind: 'join'; member: Member; devices: PairedDevices | null }
  | { kind: 'leave' | 'move' | 'disconnect'; connectionId: string };

/** An effect on one connection; effects are carried out in the order of the list. */
export type Effect =
  /** The seat of the connection from now on, with its peer; null: none. */
  | { kind: 'seat'; to: string; seat: Seat | null }
  | { kind: 'send'; to: string; message: ServerMessage }
  | { kind: 'close'; to: string; reason: CloseReason };

export interface Seat {
  readonly roomId: string;
  readonly peerId: string | null;
  /** The device of the member if it is one of the two that paired the room; otherwise null. */
  readonly pairedDevice: string | null;
}

export interface Transition {
  readonly room: RoomState;
  readonly effects: readonly Effect[];
}

export function emptyRoom(roomId: string): RoomState {
  return { roomId, members: [], devices: null };
}

/** Applies one event. Departures of a connection that is not in the room change nothing and have no effects. */
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

function join(before: RoomState, joiner: Member, joined: PairedDevices | null): Transition {
  const devices = bothKnown(before.devices, joined);
  const present = before.members.find((member) => member.connectionId === joiner.connectionId);
  const seated = seatedAs(joiner, present);
  if (isIntruder(seated, devices)) {
    return refuse(before, joiner, { type: 'error', ...refusal('forbidden') });
  }
  const others = before.members.filter((member) => member !== present);
  const earlier = others.find(
    (member) => member.deviceId !== null && member.deviceId === seated.deviceId,
  );
  const stay = others.filter((member) => member !== earlier && !isIntruder(member, devices));
  const replaced = earlier ?? present;
  const seats = ROOM_SEATS - (isSeatReserved(seated, stay, devices) ? 1 : 0);
  if (!replaced && stay.length >= seats) {
    // A third join is refused, not queued, so the app can report at once that the room is full.
    if (!seated.isProved) {
      const { roomId } = before;
      return refuse(before, joiner, { type: 'room_full', ...refusal('room_full'), roomId });
    }
    // Both members lack proof, and one is evicted. A member with a paired device id may be the other device, so it stays.
    const { client1, client2 } = devices ?? {};
    const kept = stay.find(({ deviceId }) => deviceId === client1 || deviceId === client2);
    stay.splice(0, stay.length, kept ?? (stay[0] as Member));
  }
  const evicted = others.filter((member) => !stay.includes(member));

  const members = replaced
    ? before.members
        .filter((member) => member === replaced || stay.includes(member))
        .map((member) => (member === replaced ? seated : member))
    : // An array that `push` has made longer keeps memory for 16 more elements.
      stay.concat(seated);
  const room = { roomId: before.roomId, members, devices };

  const effects: Effect[] = [];
  for (const { connectionId } of evicted) {
    effects.push({ kind: 'seat', to: connectionId, seat: null });
    effects.push({ kind: 'close', to: connectionId, reason: 'replaced' });
  }
  const peer = peerOf(room, joiner.connectionId);
  if (evicted.length > 0 && peer) effects.push(tellPeer(peer.connectionId, 'disconnect'));
  // A member that joins again would otherwise not be told that its peer was evicted.
  const isLeft = present !== undefined && evicted.some((member) => member !== earlier);
  if (isLeft && !peer) effects.push(tellPeer(joiner.connectionId, 'disconnect'));
  effects.push(seatOf(room, joiner.connectionId));
  effects.push(send(joiner.connectionId, roomJoined(room, joiner.connectionId)));
  if (!peer) return { room, effects };

  effects.push(roomReady(room, joiner.connectionId));
  // A repeated join does not affect the peer, unless the device id of the member changes the peer's role.
  const undisturbed =
    present &&
    evicted.length === 0 &&
    initiator(before)?.connectionId === initiator(room)?.connectionId;
  if (!undisturbed) {
    effects.push(seatOf(room, peer.connectionId));
    effects.push(roomReady(room, peer.connectionId));
  }
  return { room, effects };
}

/** The member that a joiner becomes; a repeated join keeps the device id and proof of its connection. */
function seatedAs(joiner: Member, present: Member | undefined): Member {
  const deviceId = joiner.deviceId ?? present?.deviceId ?? null;
  const isProved = joiner.isProved || (present?.isProved && present.deviceId === deviceId);
  return { connectionId: joiner.connectionId, deviceId, ...(isProved ? { isProved } : {}) };
}

/** Merges what two joins found about the devices: a proof found by either stays. */
function bothKnown(before: PairedDevices | null, now: PairedDevices | null): PairedDevices | null {
  const known = now ?? before;
  if (known === null) return null;
  const { client1, client2 } = known;
  const proved1 = before?.proved1 || now?.proved1;
  const proved2 = before?.proved2 || now?.proved2;
  return { client1, client2, ...(proved1 ? { proved1 } : {}), ...(proved2 ? { proved2 } : {}) };
}

function isIntruder({ deviceId, isProved }: Member, devices: PairedDevices | null): boolean {
  if (devices === null || isProved) return false;
  const { client1, client2, proved1, proved2 } = devices;
  if (proved1 && proved2) return true;
  return Boolean((proved1 && deviceId === client1) || (proved2 && deviceId === client2));
}

/** Whether one seat is reserved for an absent proved device other than the joiner. */
function isSeatReserved(
  joiner: Member,
  others: readonly Member[],
  devices: PairedDevices | null,
): boolean {
  const isOwned = devices?.proved1 || devices?.proved2;
  // If both seats are owned, all members and the joiner are proved.
  return Boolean(isOwned) && !joiner.isProved && !others.some(({ isProved }) => isProved);
}

const refusal = (code: 'forbidden' | 'room_full') => ({ error: SIGNALING_ERRORS[code].text, code });

function refuse(room: RoomState, { connectionId }: Member, message: ServerMessage): Transition {
  return { room, effects: [send(connectionId, message)] };
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
    effects.push(send(connectionId, { type: 'left_room', roomId: room.roomId }));
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
  // The acceptor never initiates: its peer is the creator without a device id, or absent.
  return acceptor ? members.find((member) => member !== acceptor) : members[0];
}

export function isInitiator(room: RoomState, connectionId: string): boolean {
  return initiator(room)?.connectionId === connectionId;
}

/** The other member. */
export function peerOf(room: RoomState, connectionId: string): Member | undefined {
  return room.members.find((member) => member.connectionId !== connectionId);
}

/** The effect that gives a connection its seat and its peer. */
export function seatOf(room: RoomState, connectionId: string): Effect {
  const peerId = peerOf(room, connectionId)?.connectionId ?? null;
  const pairedDevice = pairedDeviceOf(room, connectionId);
  return { kind: 'seat', to: connectionId, seat: { roomId: room.roomId, peerId, pairedDevice } };
}

/** The device of a member if it is one of the two that paired the room. */
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

/** The message to each member of a full room. */
export function roomReady(room: RoomState, connectionId: string): Effect {
  return send(connectionId, {
    type: 'room_ready',
    roomId: room.roomId,
    message: 'Both users connected. Ready for WebRTC handshake.',
    userCount: ROOM_SEATS,
    isInitiator: isInitiator(room, connectionId),
  });
}

/** The message to a member whose peer has left. */
export function tellPeer(to: string, how: 'leave' | 'move' | 'disconnect'): Effect {
  return how === 'disconnect'
    ? send(to, { type: 'peer_disconnected', message: 'Other user disconnected' })
    : send(to, { type: 'peer_left', message: 'Other user left the room' });
}

const send = (to: string, message: ServerMessage): Effect => ({ kind: 'send', to, message });
