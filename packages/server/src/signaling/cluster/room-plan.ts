// Plans the change of a room as a pure function: reconciles its record with the seats of this node, then applies room.ts.
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
  type Member,
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
import { haveSameMembers, isReplaced, nodeOf, pastAfter, type RoomRecord } from './room-record.js';

/** A seat of this node, as its connection was told. */
export interface HeldSeat {
  readonly member: Member;
  /** Whether the record store has it under the present lease. */
  readonly claimed: boolean;
}

/** The state of the planning node. */
export interface Planner {
  /** The id of its lease. */
  readonly node: string;
  /** By the wall clock. */
  readonly now: number;
  /** Whether a lease has ended. */
  isDead(node: string): boolean;
  /** The seats of this node in the room, longest present first. */
  readonly held: readonly HeldSeat[];
  /** The room as these members were told. */
  readonly known: RoomRecord;
  /** Whether the record store had `known` at its version; false after a change that was made only here. */
  readonly exact: boolean;
  /** Whether a seat under the present lease has no connection. */
  isStale(connectionId: string): boolean;
  /** The generation to end although no member left. */
  readonly endedGeneration: number | null;
  /** Connections whose departure has not been written yet. */
  readonly released: { has(connectionId: string): boolean };
  /** Whether to write without a change, to make an earlier write of unknown outcome void. */
  readonly mustWrite: boolean;
}

export interface Plan {
  /** The record before the event. */
  readonly reconciled: RoomRecord;
  readonly next: RoomRecord;
  /** Effects of the event alone. */
  readonly effects: readonly Effect[];
  /** Whether to write `next`. */
  readonly changed: boolean;
  /** Whether a seat under the present lease is gone, by a take-over or the end of the lease. */
  readonly lost: boolean;
}

export function plan(base: RoomRecord, event: RoomEvent | null, planner: Planner): Plan {
  const version = Math.max(base.version + 1, planner.known.version + 1, Math.floor(planner.now));
  const { record: reconciled, lost } = reconcile(base, version, planner);
  const { room, effects } = apply(reconciled.state, event);
  const next = seatAll(room, reconciled, version, planner.node);
  // A store that lost its last changes is written again, which also updates the nodes of the members.
  const changed = planner.mustWrite || isBehind(base, planner) || !isSame(base, next);
  return {
    reconciled,
    next: changed ? next : { ...next, version: base.version },
    effects,
    changed,
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

function reconcile(
  base: RoomRecord,
  version: number,
  planner: Planner,
): { record: RoomRecord; lost: boolean } {
  const { held, known, node, endedGeneration } = planner;
  const isHeld = ({ connectionId }: Member) =>
    held.some(({ member }) => member.connectionId === connectionId);
  const nodes = base.state.members.map((member, at) =>
    isHeld(member) ? node : (base.nodes[at] as string),
  );
  const regressed = isBehind(base, planner);
  // The store has lost a departure that the members here were told.
  const hasLeft = (id: string) => regressed && planner.exact && nodeOf(known, id) === undefined;
  let state = base.state;
  const past = [...base.past];
  base.state.members.forEach((member, at) => {
    const { connectionId } = member;
    const isHere = nodes[at] === node;
    const isGone = isHere ? planner.isStale(connectionId) : planner.isDead(nodes[at] as string);
    const isReleased = planner.released.has(connectionId) || hasLeft(connectionId);
    if (!isGone && !isReleased) return;
    // On this node, a later connection of the same device has already closed the earlier one.
    if (!isHere && !isReleased) past.push({ ...member, until: base.version });
    state = transition(state, { kind: 'disconnect', connectionId }).room;
  });

  let lost = false;
  for (const { member, claimed } of held) {
    if (state.members.some(({ connectionId }) => connectionId === member.connectionId)) continue;
    // If the store has lost changes, no other connection has taken the seat.
    if (claimed && !regressed) lost = true;
    else if (
      !isReplaced(member, known.version, { state, past }) &&
      state.members.length < ROOM_SEATS
    ) {
      state = transition(state, { kind: 'join', member, devices: known.state.devices }).room;
    }
  }
  if (held.length > 0 && state.members.every(isHeld) && haveSameMembers(state, known.state)) {
    // All members are here with the state they were told, so they keep their order.
    const asKnown = { ...known.state, devices: known.state.devices ?? state.devices };
    return {
      record: {
        version,
        generation: endedGeneration === known.generation ? version : known.generation,
        state: asKnown,
        nodes: asKnown.members.map(() => node),
        past: pastAfter(base, asKnown, base.version),
      },
      lost,
    };
  }
  // Removed members were seated by this record, and may not have joined after it.
  const record = seatAll(state, { ...base, nodes }, version, node, base.version);
  const isEnded =
    endedGeneration === record.generation && record.state.members.length === ROOM_SEATS;
  return { record: isEnded ? { ...record, generation: version } : record, lost };
}

/** Whether the record store has lost changes that the members here were told. */
const isBehind = (base: RoomRecord, { held, known }: Planner): boolean =>
  held.length > 0 && base.version < known.version;

/** The record of the next state; `until`: the last version at which the removed members were seated. */
function seatAll(
  state: RoomState,
  from: RoomRecord,
  version: number,
  node: string,
  until = version,
): RoomRecord {
  const nodes = state.members.map(({ connectionId }) => nodeOf(from, connectionId) ?? node);
  const generation = haveSameMembers(state, from.state) ? from.generation : version;
  // An empty room has no roles.
  const kept = state.members.length === 0 ? { ...state, devices: null } : state;
  return { version, generation, state: kept, nodes, past: pastAfter(from, state, until) };
}

function isSame(one: RoomRecord, other: RoomRecord): boolean {
  const [a, b] = [one, other].map(({ generation, nodes, state: { devices, members } }) =>
    JSON.stringify([
      generation,
      nodes,
      devices && [devices.client1, devices.client2, !!devices.proved1, !!devices.proved2],
      members.map(({ connectionId, deviceId, isProved }) => [connectionId, deviceId, !!isProved]),
    ]),
  );
  return a === b;
}

/**
 * The effects that lead the members here from the known state to the present one:
 *
 *   known │ now                             │ told
 *   ──────┼─────────────────────────────────┼──────────────────────────────────────
 *   seat  │ none, its device joined again   │ close 4001
 *   seat  │ none                            │ close 1013, so the client joins again
 *   peer  │ none                            │ peer_disconnected
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
): Effect[] {
  return known.state.members.flatMap((member): Effect[] => {
    const { connectionId: to } = member;
    if (!isLocal(to)) return [];
    if (nodeOf(now, to) !== undefined) return peerEffects(known, now, to);
    const reason = isReplaced(member, known.version, now) ? 'replaced' : 'try_again_later';
    return [
      { kind: 'seat', to, seat: null },
      { kind: 'close', to, reason },
    ];
  });
}

function peerEffects(known: RoomRecord, now: RoomRecord, to: string): Effect[] {
  const before = peerOf(known.state, to);
  const after = peerOf(now.state, to);
  const seat = seatOf(now.state, to);
  const ready: Effect[] =
    after === undefined ? [] : [{ kind: 'send', to, message: roomReady(now.state, to) }];
  const isSamePeer =
    before?.connectionId === after?.connectionId &&
    (after === undefined || known.generation === now.generation);
  if (!isSamePeer) {
    return [seat, ...(before === undefined ? [] : [tellPeer(to, 'disconnect')]), ...ready];
  }
  const isTurned =
    after !== undefined && isInitiator(known.state, to) !== isInitiator(now.state, to);
  if (isTurned) return [seat, ...ready];
  return pairedDeviceOf(known.state, to) === pairedDeviceOf(now.state, to) ? [] : [seat];
}
