// What the members of this node must be told when a room is no longer as they know it, and the steps between were lost.
import {
  type Effect,
  isInitiator,
  pairedDeviceOf,
  peerOf,
  type RoomState,
  roomReady,
  seatOf,
  tellPeer,
} from '../room.js';
import { isReplaced, nodeOf, type RoomRecord } from './room-record.js';

/**
 * The effects that lead from what was told to what is:
 *
 *   known │ now                          │ told
 *   ──────┼──────────────────────────────┼───────────────────────────────────────────
 *   seat  │ none, its device came anew   │ close 4001
 *   seat  │ none                         │ close 1013: who comes again finds its place
 *   peer  │ none                         │ peer_disconnected
 *   none  │ peer                         │ room_ready
 *   peer  │ another, or the same anew    │ peer_disconnected, room_ready
 *   peer  │ the same, roles changed      │ room_ready
 *
 * A connection that sits there now without being known gets nothing: it was told that its join failed.
 */
export function catchUp(
  known: RoomRecord,
  now: RoomRecord,
  isLocal: (connectionId: string) => boolean,
): Effect[] {
  const effects: Effect[] = [];
  for (const member of known.state.members) {
    const { connectionId } = member;
    if (!isLocal(connectionId)) continue;
    if (nodeOf(now, connectionId) !== undefined) {
      effects.push(...peerNews(known, now, connectionId));
      continue;
    }
    const replaced = isReplaced(member, known.version, now);
    effects.push({ kind: 'seat', to: connectionId, seat: null });
    effects.push({
      kind: 'close',
      to: connectionId,
      reason: replaced ? 'replaced' : 'try_again_later',
    });
  }
  return effects;
}

function peerNews(known: RoomRecord, now: RoomRecord, to: string): Effect[] {
  const before = peerOf(known.state, to);
  const after = peerOf(now.state, to);
  const stayed =
    before?.connectionId === after?.connectionId &&
    (after === undefined || known.generation === now.generation);
  if (stayed) {
    const turned =
      after !== undefined && isInitiator(known.state, to) !== isInitiator(now.state, to);
    if (turned) return [seatOf(now.state, to), ready(now.state, to)];
    const vouched = pairedDeviceOf(known.state, to) === pairedDeviceOf(now.state, to);
    return vouched ? [] : [seatOf(now.state, to)];
  }
  const effects: Effect[] = [seatOf(now.state, to)];
  if (before !== undefined) effects.push(tellPeer(to, 'disconnect'));
  if (after !== undefined) effects.push(ready(now.state, to));
  return effects;
}

const ready = (room: RoomState, to: string): Effect => ({
  kind: 'send',
  to,
  message: roomReady(room, to),
});
