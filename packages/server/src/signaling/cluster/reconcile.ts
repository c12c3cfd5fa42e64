// Reconciles the record of a room with the seats of this node, then applies an event by room.ts. A pure function, without I/O.
//
// Reconciling a record means:
//   - moving seats of this node under an earlier lease to the present one, without effects
//   - removing members of dead nodes, and members that left while the record store was unreachable
//   - claiming seats again that other nodes removed, or that the store has lost, if they are free
//   - replacing a generation that was to end
import { ROOM_SEATS } from '@couplet/protocol';
import {
  type Effect,
  isInitiator,
  pairedDeviceOf,
  peerOf,
  type RoomEvent,
  type RoomState,
  roomReady,
  seatOf,
  type Transition,
  tellPeer,
  transition,
} from '../room.js';
import { type NodeLease, processOf } from './node-lease.js';
import {
  encodeRecord,
  type Gone,
  haveSameMembers,
  isReplaced,
  nodeOf,
  pastAfter,
  type RoomRecord,
} from './room-record.js';

/** A room with members on this node. */
export interface ReconciledRoom {
  /** The room as its members here were told. */
  readonly known: RoomRecord;
  /** The connections of this node that sit in the room. */
  readonly seats: { has(connectionId: string): boolean };
  /**
   * Null if the record store had `known` at its version. Otherwise a change was made only here, or its outcome is unknown;
   * the next change is then written in any case, and makes the earlier one void. The nodes to notify of it.
   */
  readonly unsettled: ReadonlySet<string> | null;
  /**
   * The generation to end although no member leaves: a frame was lost, or members were told that an unreachable peer is
   * gone.
   */
  readonly endedGeneration: number | null;
  /** Whether no connection of this node has a seat, or a join in progress: also of one that moves to another room. */
  isStale(connectionId: string): boolean;
}

export type Reconciliation = Readonly<ReturnType<typeof reconcile>>;

export function reconcile(
  base: RoomRecord,
  event: RoomEvent | null,
  room: ReconciledRoom,
  lease: NodeLease,
  now: number,
) {
  const { known } = room;
  const version = Math.max(base.version + 1, known.version + 1, Math.floor(now));
  const joiner = event?.kind === 'join' ? event.member.connectionId : undefined;
  const leaver = event?.kind === 'join' ? undefined : event?.connectionId;
  const isHeld = (id: string) => room.seats.has(id) && id !== leaver;
  // The record store has lost changes that the members here were told.
  const isBehind =
    base.version < known.version && known.members.some(({ connectionId }) => isHeld(connectionId));

  let state: RoomState = base;
  const past = [...base.past];
  for (const member of base.members) {
    const { connectionId, node } = member;
    const isHere = node === lease.id || isHeld(connectionId);
    // A departure, or the outcome of an earlier join, could not be written.
    const isStale =
      connectionId === joiner
        ? !room.seats.has(connectionId)
        : connectionId !== leaver && room.isStale(connectionId);
    // The store has lost a departure that the members here were told.
    const hasLeft =
      isBehind && room.unsettled === null && nodeOf(known, connectionId) === undefined;
    if (!hasLeft && !(isHere ? isStale : !lease.alive.has(node))) continue;
    // On this node, a later connection of the same device has already closed the earlier one.
    if (processOf(node) !== lease.processId && !hasLeft)
      past.push({ ...member, until: base.version });
    state = transition(state, { kind: 'disconnect', connectionId }).room;
  }

  let lost = false;
  // In the order of the members; another order would change their roles.
  for (const member of known.members) {
    const { connectionId, node } = member;
    if (!isHeld(connectionId)) continue;
    if (state.members.some((other) => other.connectionId === connectionId)) continue;
    // If the store has lost changes, no other connection has taken the seat.
    if (node === lease.id && !isBehind) lost = true;
    else if (
      !isReplaced(member, known.version, { ...state, past }) &&
      state.members.length < ROOM_SEATS
    ) {
      state = transition(state, { kind: 'join', member, devices: known.devices }).room;
    }
  }

  /** The record of the next state; `until`: the last version at which the removed members were seated. */
  const recordOf = (next: RoomState, from: RoomRecord, until: number): RoomRecord => ({
    version,
    generation: haveSameMembers(next, from) ? from.generation : version,
    roomId: next.roomId,
    // An empty room has no roles.
    devices: next.members.length === 0 ? null : next.devices,
    members: next.members.map((member) => {
      const node = isHeld(member.connectionId) ? undefined : nodeOf(from, member.connectionId);
      return { ...member, node: node ?? lease.id };
    }),
    past: pastAfter(from, next, until),
  });
  let generation: number | undefined;
  const areAllHere =
    state.members.length > 0 && state.members.every(({ connectionId }) => isHeld(connectionId));
  if (areAllHere && haveSameMembers(state, known)) {
    // All members are here with the state they were told, so they keep their order.
    state = { ...known, devices: known.devices ?? state.devices };
    generation = known.generation;
  }
  // Removed members were seated by this record, and may not have joined after it.
  const seated = recordOf(state, base, base.version);
  generation ??= seated.generation;
  const isEnded = room.endedGeneration === generation && seated.members.length === ROOM_SEATS;
  const reconciled = { ...seated, generation: isEnded ? version : generation };

  const { room: after, effects } = apply(reconciled, event);
  const next = recordOf(after, reconciled, version);
  // A store that lost its last changes is written again, which also updates the nodes of the members.
  const isSame = encodeRecord({ ...next, version: base.version }) === encodeRecord(base);
  const changed = room.unsettled !== null || isBehind || !isSame;
  const gone: Record<string, 'left' | 'replaced'> = {};
  for (const { kind, to } of effects) if (kind === 'close') gone[to] = 'replaced';
  if (leaver !== undefined && event?.kind !== 'disconnect') gone[leaver] = 'left';
  // A member that joins again may have missed that its peer has gone.
  const missed = catchUp(known, reconciled, (id) => id === joiner && room.seats.has(id));
  return {
    next: changed ? next : { ...next, version: base.version },
    gone,
    /** The effects on the connection that joins or leaves. Other members are told by {@link catchUp}. */
    effects: [...missed, ...effects.filter(({ to }) => to === joiner || to === leaver)],
    /** Whether to write `next`. */
    changed,
    /** Whether a seat under the present lease is gone, by a take-over or the end of the lease. */
    lost,
  };
}

function apply(state: RoomState, event: RoomEvent | null): Transition {
  if (event === null) return { room: state, effects: [] };
  const result = transition(state, event);
  if (event.kind !== 'leave' || result.effects.length > 0) return result;
  // A leave is answered even if the record store has lost the seat.
  const member = { connectionId: event.connectionId, deviceId: null };
  return { room: state, effects: transition({ ...state, members: [member] }, event).effects };
}

/**
 * The effects that lead the members here from the known state to the present one:
 *
 *   known │ now                             │ told
 *   ──────┼─────────────────────────────────┼──────────────────────────────────────
 *   seat  │ none, replaced                  │ close 4001
 *   seat  │ none                            │ close 1013, so the client joins again
 *   peer  │ none                            │ peer_disconnected, or peer_left
 *   none  │ peer                            │ room_ready
 *   peer  │ another, or another generation  │ peer_disconnected, room_ready
 *   peer  │ the same, roles changed         │ room_ready
 *
 * A seated connection that is not in the known state gets no effects: it was told that its join failed.
 */
export function catchUp(
  known: RoomRecord,
  now: RoomRecord,
  isLocal: (connectionId: string) => boolean,
  gone: Gone = {},
): Effect[] {
  return known.members.flatMap((member): Effect[] => {
    const { connectionId: to } = member;
    if (!isLocal(to)) return [];
    if (nodeOf(now, to) !== undefined) return peerEffects(known, now, to, gone);
    const isTaken = gone[to] === 'replaced' || isReplaced(member, known.version, now);
    const reason = isTaken ? 'replaced' : 'try_again_later';
    return [
      { kind: 'seat', to, seat: null },
      { kind: 'close', to, reason },
    ];
  });
}

function peerEffects(known: RoomRecord, now: RoomRecord, to: string, gone: Gone): Effect[] {
  const before = peerOf(known, to);
  const after = peerOf(now, to);
  const seat = seatOf(now, to);
  const ready = after === undefined ? [] : [roomReady(now, to)];
  const isSamePeer =
    before?.connectionId === after?.connectionId &&
    (after === undefined || known.generation === now.generation);
  if (!isSamePeer) {
    const hasLeft = before !== undefined && gone[before.connectionId] === 'left';
    const left = before && [tellPeer(to, hasLeft ? 'leave' : 'disconnect')];
    return [seat, ...(left ?? []), ...ready];
  }
  if (after !== undefined && isInitiator(known, to) !== isInitiator(now, to)) {
    return [seat, ...ready];
  }
  return pairedDeviceOf(known, to) === pairedDeviceOf(now, to) ? [] : [seat];
}
