// What a node makes of a room it is about to change, pure: first the room is reconciled, then room.ts has its say.
//
// Healing is part of every change, so that whoever touches a room leaves it right:
//   - seats of this node that stand under an earlier lease of it pass to the present one: disturbs nobody
//   - members of dead nodes go, and those that have left, though the record store was away then, or has been set back since
//   - seats that others took for dead, or that the record store has lost, are claimed again where nobody sits there now
//   - two who were told apart while the record store was away meet anew, for both
import { ROOM_SEATS } from '@couplet/protocol';
import {
  type Effect,
  type Member,
  type RoomEvent,
  type RoomState,
  type Transition,
  transition,
} from '../room.js';
import { haveSameMembers, isReplaced, nodeOf, pastAfter, type RoomRecord } from './room-record.js';

/** A seat that a connection of this node holds, by what the connection was told. */
export interface HeldSeat {
  readonly member: Member;
  /** Whether the record store knew of it under the present lease. */
  readonly claimed: boolean;
}

/** Who plans. */
export interface Planner {
  /** The lease of this node, by its id. */
  readonly node: string;
  /** The present, by the wall clock. */
  readonly now: number;
  /** Whether a lease is gone for good. */
  isDead(node: string): boolean;
  /** The seats of this node in the room, longest present first. */
  readonly held: readonly HeldSeat[];
  /** What they know of the room. */
  readonly known: RoomRecord;
  /** Whether that is what the record store had at that version, and not what was left of it without the others. */
  readonly exact: boolean;
  /** Whether a member that is said to sit here under the present lease does not. */
  isGhost(connectionId: string): boolean;
  /** The generation that is to end although nobody left; null: none. */
  readonly endedGeneration: number | null;
  /** Connections that have left, of which the record store has not heard yet. */
  readonly released: { has(connectionId: string): boolean };
  /** Whether to write even where nothing is new: an earlier change, of which nobody knows whether it was made, becomes void. */
  readonly mustWrite: boolean;
}

export interface Plan {
  /** The room after healing: what members have to know before the event. */
  readonly reconciled: RoomRecord;
  readonly next: RoomRecord;
  /** Effects of the event alone. */
  readonly effects: readonly Effect[];
  /** Whether `next` has to be written. */
  readonly changed: boolean;
  /** Whether a seat that was claimed is gone: somebody took it over, or the lease is gone and we have not heard. */
  readonly lost: boolean;
}

export function plan(base: RoomRecord, event: RoomEvent | null, planner: Planner): Plan {
  const version = Math.max(base.version + 1, planner.known.version + 1, Math.floor(planner.now));
  const { record: reconciled, lost } = reconcile(base, version, planner);
  const { room, effects } = happen(reconciled.state, event);
  const next = seatAll(room, reconciled, version, planner.node);
  // A record store that has lost its last changes is told of the loss, and so are the nodes of those who sit there by it.
  const changed = planner.mustWrite || isBehind(base, planner) || !sameRecord(base, next);
  return {
    reconciled,
    next: changed ? next : { ...next, version: base.version },
    effects,
    changed,
    lost,
  };
}

function happen(state: RoomState, event: RoomEvent | null): Transition {
  if (event === null) return { room: state, effects: [] };
  const result = transition(state, event);
  if (event.kind !== 'leave' || result.effects.length > 0) return result;
  // The record store knows nothing of the seat any more; who leaves it is answered all the same.
  const member = { connectionId: event.connectionId, deviceId: null };
  return { room: state, effects: transition({ ...state, members: [member] }, event).effects };
}

function reconcile(
  base: RoomRecord,
  version: number,
  planner: Planner,
): { record: RoomRecord; lost: boolean } {
  const { held, known, node, endedGeneration } = planner;
  const seated = ({ member }: HeldSeat, { members }: RoomState) =>
    members.some(({ connectionId }) => connectionId === member.connectionId);

  const nodes = base.state.members.map(({ connectionId }, at) =>
    held.some(({ member }) => member.connectionId === connectionId)
      ? node
      : (base.nodes[at] as string),
  );
  // Who was gone when the members here were told has left since a record store that is behind.
  const regressed = isBehind(base, planner);
  const hasLeft = (id: string) => regressed && planner.exact && nodeOf(known, id) === undefined;
  let state = base.state;
  const past = [...base.past];
  base.state.members.forEach((member, at) => {
    const { connectionId } = member;
    const isHere = nodes[at] === node;
    const isGone = isHere ? planner.isGhost(connectionId) : planner.isDead(nodes[at] as string);
    const isReleased = planner.released.has(connectionId) || hasLeft(connectionId);
    if (!isGone && !isReleased) return;
    // One that came after a connection of this node, and is one of this node too, has closed it, if it ever sat there.
    if (!isHere && !isReleased) past.push({ ...member, until: base.version });
    state = transition(state, { kind: 'disconnect', connectionId }).room;
  });

  let lost = false;
  for (const seat of held) {
    if (seated(seat, state)) continue;
    if (seat.claimed && !regressed) lost = true;
    // What is behind has lost our seats; nobody took them.
    else if (!isReplaced(seat.member, known.version, { state, past })) {
      state = claimAgain(state, seat.member, known);
    }
  }
  const allOurs = state.members.every(({ connectionId }) =>
    held.some(({ member }) => member.connectionId === connectionId),
  );
  if (held.length > 0 && allOurs && haveSameMembers(state, known.state)) {
    // Both of them back as they were, and in their order: nobody has noticed anything.
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
  // Who is found to be gone was there by this record, and is not known to have come after any later one.
  const record = seatAll(state, { ...base, nodes }, version, node, base.version);
  const apart =
    endedGeneration !== null &&
    endedGeneration === record.generation &&
    state.members.length === ROOM_SEATS;
  return { record: apart ? { ...record, generation: version } : record, lost };
}

/** Whether the record store knows less than the members here were told: it was restored from what it was before. */
const isBehind = (base: RoomRecord, { held, known }: Planner): boolean =>
  held.length > 0 && base.version < known.version;

/** Evicts nobody. */
function claimAgain(state: RoomState, member: Member, known: RoomRecord): RoomState {
  if (state.members.length >= ROOM_SEATS) return state;
  return transition(state, { kind: 'join', member, devices: known.state.devices }).room;
}

/** The record of a state that came out of another one; `until`: the version up to which those sat there who are gone. */
function seatAll(
  state: RoomState,
  from: RoomRecord,
  version: number,
  node: string,
  until = version,
): RoomRecord {
  const nodes = state.members.map(({ connectionId }) => nodeOf(from, connectionId) ?? node);
  const generation = haveSameMembers(state, from.state) ? from.generation : version;
  // An empty room is no room: it remembers no roles.
  const kept = state.members.length === 0 ? { ...state, devices: null } : state;
  return { version, generation, state: kept, nodes, past: pastAfter(from, state, until) };
}

function sameRecord(one: RoomRecord, other: RoomRecord): boolean {
  return (
    one.generation === other.generation &&
    one.state.devices?.client1 === other.state.devices?.client1 &&
    one.state.devices?.client2 === other.state.devices?.client2 &&
    one.state.devices?.proved1 === other.state.devices?.proved1 &&
    one.state.devices?.proved2 === other.state.devices?.proved2 &&
    one.state.members.length === other.state.members.length &&
    one.state.members.every((member, at) => {
      const its = other.state.members[at] as Member;
      return (
        member.connectionId === its.connectionId &&
        member.deviceId === its.deviceId &&
        member.isProved === its.isProved &&
        one.nodes[at] === other.nodes[at]
      );
    })
  );
}
