// Checks peers that leave: every survivor is told within the bound, and no client is told so of a present peer.
import type { Connection, Stay } from './connections.js';
import { peerOf, type Ready } from './reading.js';
import type { Story, Violation } from './violation.js';

export function toldViolations(story: Story, readies: readonly Ready[]): Violation[] {
  return readies.flatMap((ready) => {
    const peer = story.connections.get(peerOf(ready) ?? 0);
    if (peer === undefined || peer === ready.conn) return [];
    const stay = stayAt(peer, ready);
    return [
      ...late(ready, peer, stay, story),
      ...lateOfSilent(ready, peer, story),
      ...wrong(ready, peer, stay, story),
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
  { disturbances }: Story,
): number | undefined {
  const start = Math.max(from, ready.from);
  const by = disturbances.quietFrom([ready.conn.node], start, lengthMs) + lengthMs;
  return ready.until > by && by <= disturbances.horizon ? by : undefined;
}

/** The peer's connection ended, or it left. */
function late(ready: Ready, peer: Connection, stay: Stay | undefined, story: Story): Violation[] {
  const gone = Math.min(peer.ended, stay?.left ?? Number.POSITIVE_INFINITY);
  if (gone === Number.POSITIVE_INFINITY || gone >= ready.until) return [];
  const silent = peer.gaveUp === 'fade' && gone === peer.ended;
  const length = story.disturbances.goneBy(peer.node, gone, silent) - gone;
  const by = believedTooLong(ready, gone, length, story);
  return by === undefined ? [] : [notTold(ready, peer, by, gone)];
}

/** The peer's server is silent for longer than its lease, whatever the peer itself sees. */
function lateOfSilent(ready: Ready, peer: Connection, story: Story): Violation[] {
  const { goneMs, recoveryMs } = story.bounds;
  if (peer.node === ready.conn.node) return [];
  return story.disturbances.of(peer.node).flatMap(({ from, to, everywhere, silences }) => {
    if (everywhere || !silences || from < ready.from || from >= Math.min(ready.until, peer.ended))
      return [];
    const by = believedTooLong(ready, from, goneMs, story);
    // A server that was back by then may have kept its seats.
    if (by === undefined || to - recoveryMs <= by) return [];
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
  { connections, disturbances, bounds: { settleMs } }: Story,
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
