// Checks peers that leave: every survivor is told within the bound, and no client is told so of a present peer.

import type { Bounds } from './bounds.js';
import type { Connection, Connections, Stay } from './connections.js';
import type { Disturbances } from './disturbances.js';
import type { Memberships } from './memberships.js';
import type { Ready } from './reading.js';
import type { Violation } from './violation.js';

export function toldViolations(
  connections: Connections,
  readies: readonly Ready[],
  memberships: Memberships,
  disturbances: Disturbances,
  bounds: Bounds,
): Violation[] {
  return readies.flatMap((ready) => {
    const peer = connections.get(memberships.peerOf(ready) ?? 0);
    if (peer === undefined || peer === ready.conn) return [];
    const stay = stayAt(peer, ready);
    return [
      ...late(ready, peer, stay, disturbances),
      ...lateOfSilent(ready, peer, disturbances, bounds),
      ...wrong(ready, peer, stay, connections, disturbances, bounds),
    ];
  });
}

/** The peer's stay in the room from which its first frame came. */
function stayAt(peer: Connection, { room, frames }: Ready): Stay | undefined {
  const heard = frames[0]?.t ?? 0;
  return peer.stays.findLast((stay) => stay.room === room && stay.joined <= heard);
}

/** Whether the client was not told for this length of time without a fault of its server. */
function believedTooLong(
  ready: Ready,
  from: number,
  lengthMs: number,
  disturbances: Disturbances,
): number | undefined {
  const start = Math.max(from, ready.from);
  const by = disturbances.quietFrom([ready.conn.node], start, lengthMs) + lengthMs;
  return ready.until > by && by <= disturbances.horizon ? by : undefined;
}

/** The peer's connection ended, or it left. */
function late(
  ready: Ready,
  peer: Connection,
  stay: Stay | undefined,
  disturbances: Disturbances,
): Violation[] {
  const gone = Math.min(peer.ended, stay?.left ?? Number.POSITIVE_INFINITY);
  if (gone === Number.POSITIVE_INFINITY || gone >= ready.until) return [];
  const silent = peer.gaveUp === 'fade' && gone === peer.ended;
  const length = disturbances.goneBy(peer.node, gone, silent) - gone;
  const by = believedTooLong(ready, gone, length, disturbances);
  return by === undefined ? [] : [notTold(ready, peer, by, gone)];
}

/** The peer's server is silent for longer than its lease, whatever the peer itself sees. */
function lateOfSilent(
  ready: Ready,
  peer: Connection,
  disturbances: Disturbances,
  { goneMs, healMs }: Bounds,
): Violation[] {
  if (peer.node === ready.conn.node) return [];
  return disturbances.of(peer.node).flatMap(({ from, to, everywhere, silences }) => {
    if (everywhere || !silences || from < ready.from || from >= Math.min(ready.until, peer.ended))
      return [];
    const by = believedTooLong(ready, from, goneMs, disturbances);
    // A server that was back by then may have kept its seats.
    if (by === undefined || to - healMs <= by) return [];
    return [notTold(ready, peer, by, from)];
  });
}

function notTold({ conn }: Ready, peer: Connection, by: number, gone: number): Violation {
  const what = `${conn.conn} was not told that ${peer.conn} is gone since ${(gone / 1000).toFixed(3)} s`;
  return {
    rule: 'a survivor is told of a dead peer within the bound',
    t: by,
    what,
    conns: [conn.conn, peer.conn],
  };
}

/** The client was told that its peer left, although the peer did not leave. */
function wrong(
  ready: Ready,
  peer: Connection,
  stay: Stay | undefined,
  connections: Connections,
  disturbances: Disturbances,
  { settleMs }: Bounds,
): Violation[] {
  const { until, end, conn } = ready;
  if ((end !== 'peer_left' && end !== 'peer_disconnected') || stay === undefined) return [];
  const replaced = connections
    .others(stay)
    .some(({ asked }) => asked > stay.asked && asked <= until);
  // The server closes a connection before its client detects it.
  const ended = peer.ended <= until || peer.closed - settleMs <= until;
  const released = stay.released <= until;
  const disturbed = [conn.node, peer.node].some((node) =>
    disturbances.touch(node, until - settleMs, until),
  );
  if (disturbed || released || (end === 'peer_disconnected' && (replaced || ended))) return [];
  const what = `${conn.conn} is told ${end}, and ${peer.conn} is there`;
  const rule = 'nobody is told that a peer is gone who is there';
  return [{ rule, t: until, what, conns: [conn.conn, peer.conn] }];
}
