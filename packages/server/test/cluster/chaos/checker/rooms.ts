// Checks seats, roles, and reports of departures.
//
// - A stay in a room is certain from the reading of `room_joined` until the first event that may cost the seat: the client
//   leaves, moves, hangs up, falls silent, or another connection of its device requests the seat. If the server closes
//   the connection, the client reads that late, and the stay ends `settleMs` earlier.
// - During a fault, a server may keep clients whose seats now belong to others: a paused or partitioned server cannot tell
//   them. From the beginning of the fault until `recoveryMs` after its end, no stay on it is certain, and no message from
//   it or about its clients counts as wrong.
import { grouped } from '../history.js';
import type { Stay, Story } from './story.js';

interface Span {
  from: number;
  to: number;
  stay: Stay;
}

export function checkSeats(story: Story): void {
  for (const stays of grouped(story.stays, ({ room }) => room).values()) {
    const spans = stays.flatMap((stay) => certain(stay, story)).sort((a, b) => a.from - b.from);
    let present: Span[] = [];
    for (const span of spans) {
      present = [...present.filter(({ to }) => to > span.from), span];
      if (new Set(present.map(({ stay }) => stay.device)).size < 3) continue;
      const ids = present.map(({ stay }) => stay.conn.id);
      const what = `connections ${ids.join(', ')} all have a seat in ${span.stay.room}`;
      story.violates('a room never has three members', span.from, what, ...ids);
    }
  }
}

/** When a stay is certain. */
function certain(stay: Stay, { others, faults, bounds }: Story): Span[] {
  const takers = others(stay).filter(({ asked }) => asked >= stay.asked);
  const end = Math.min(
    stay.byServer ? stay.released - bounds.settleMs : stay.released,
    ...takers.map(({ asked }) => asked),
  );
  const spans: Span[] = [];
  let from = stay.joined;
  for (const fault of [...faults.of(stay.conn.node), { from: end, to: end }]) {
    const to = Math.min(fault.from, end);
    if (to > from) spans.push({ from, to, stay });
    from = Math.max(from, fault.to);
  }
  return spans;
}

/** Of two peers with `room_ready`, one is the initiator: the device that made the code. */
export function checkRoles({ events, readies, faults, violates }: Story): void {
  for (const one of readies) {
    for (const other of one.partners) {
      if (one.initiator !== other.initiator || one.conn.id > other.conn.id) continue;
      const ids = [one.conn.id, other.conn.id] as const;
      const what = `both ${ids[0]} and ${ids[1]} are told isInitiator ${one.initiator}`;
      const t = Math.max(one.from, other.from);
      violates('exactly one initiator in each room_ready', t, what, ...ids);
    }
  }
  /** Room → when it was paired. */
  const paired = new Map<unknown, number>();
  const accepts = new Set<number>();
  for (const event of events) {
    if (event.kind === 'asked' && event.what === 'accept') accepts.add(event.id);
    if (event.kind !== 'answered' || !accepts.has(event.id) || event.status !== 200) continue;
    if (!paired.has(event.body?.roomid)) paired.set(event.body?.roomid, event.t);
  }
  for (const { conn, room, from, initiator } of readies) {
    const since = paired.get(room);
    const isUnknown = since === undefined || since > from || faults.flushAfter(since) <= from;
    if (isUnknown || (conn.opened.part === 'creator') === initiator) continue;
    if (conn.opened.part === 'third') continue;
    const what = `room_ready tells the ${conn.opened.part}, ${conn.id}, isInitiator ${initiator}`;
    violates('the device that made the code is the initiator', from, what, conn.id);
  }
}

/** No client is told of the departure of a present peer. */
export function checkDepartures(story: Story): void {
  for (const ready of story.readies) {
    const { conn, until, end, frames } = ready;
    const [first] = frames;
    const peer = story.conns.get(first?.label.id ?? 0);
    const stay = peer?.stays.findLast(
      ({ room, joined }) => room === ready.room && joined <= (first?.t ?? 0),
    );
    if ((end !== 'peer_left' && end !== 'peer_disconnected') || !stay || !peer) continue;
    const isReplaced = story.others(stay).some(({ asked }) => asked > stay.asked && asked <= until);
    const { settleMs } = story.bounds;
    // The server closes a connection before its client detects it.
    const closed = (peer.closed?.t ?? until + settleMs + 1) - settleMs;
    const isGone = Math.min(stay.released, closed) <= until || isReplaced;
    const isDisturbed = [conn, peer].some(({ node }) =>
      story.faults.touch(node, until - settleMs, until),
    );
    if (isGone || isDisturbed) continue;
    const what = `${conn.id} is told ${end}, and ${peer.id} is there`;
    const rule = 'no member is told that a present peer is gone';
    story.violates(rule, until, what, conn.id, peer.id);
  }
}
