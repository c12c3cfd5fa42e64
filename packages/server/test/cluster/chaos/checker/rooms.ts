// Checks seats, roles and departures.
//
// - A stay in a room is certain from the reading of `room_joined` until the first event that may cost the seat: the client
//   leaves, moves, hangs up, falls silent, or another connection of its device requests the seat. If the server closes
//   the connection, the client reads that late, and the stay ends `settleMs` earlier. A stay is possible from the request
//   until all servers must have detected its end (`goneBy`).
// - During a fault, a server may keep clients whose seats now belong to others: a paused or partitioned server cannot tell
//   them. From the beginning of the fault until `recoveryMs` after its end, no stay on it is certain, and no message from
//   it or about its clients counts as wrong or late.
// - A survivor must be told within the bound, in a time without a fault of its own server; after a fault, the bound starts
//   again.
import { type EventOf, grouped, NEVER } from '../history.js';
import type { Connection, Ready, Stay, Story } from './story.js';

/** Never three devices in a room, no old connection beside the device's new one, no refusal while a seat is free. */
export function checkSeats(story: Story): void {
  for (const stays of grouped(story.stays, ({ room }) => room).values()) {
    threeDevices(
      stays.flatMap((stay) => certain(stay, story)),
      story,
    );
    for (const stay of stays) {
      replaced(stay, story);
      refused(stay, stays, story);
    }
  }
}

interface Span {
  from: number;
  to: number;
  stay: Stay;
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

function threeDevices(spans: Span[], { violates }: Story): void {
  let present: Span[] = [];
  for (const span of spans.sort((a, b) => a.from - b.from)) {
    present = [...present.filter(({ to }) => to > span.from), span];
    if (new Set(present.map(({ stay }) => stay.device)).size < 3) continue;
    const ids = present.map(({ stay }) => stay.conn.id);
    const what = `connections ${ids.join(', ')} all have a seat in ${span.stay.room}`;
    violates('a room never has three members', span.from, what, ...ids);
  }
}

/** If a device has joined again by another connection, the old one is closed within the bound. */
function replaced(old: Stay, { others, faults, bounds: { settleMs }, violates }: Story): void {
  const [taker] = others(old)
    .filter(({ asked, joined }) => asked > old.joined && joined < NEVER)
    .sort((a, b) => a.joined - b.joined);
  if (taker === undefined) return;
  const by = faults.afterQuiet([old.conn.node, taker.conn.node], taker.joined, settleMs);
  if (Math.min(old.released, old.left) <= by || by > faults.horizon) return;
  const ids = [old.conn.id, taker.conn.id] as const;
  violates('a replaced connection is closed', by, `${ids[0]} stays beside ${ids[1]}`, ...ids);
}

/** `room_full` needs two other possible members. */
function refused(stay: Stay, stays: readonly Stay[], { faults, violates }: Story): void {
  if (stay.refused === NEVER) return;
  const possible = stays.filter(
    (other) =>
      other.device !== stay.device &&
      other.refused === NEVER &&
      other.asked <= stay.refused &&
      freeBy(other) >= stay.asked,
  );
  const devices = new Set(possible.map(({ device }) => device));
  if (devices.size >= 2) return;
  const ids = [stay, ...possible].map(({ conn }) => conn.id);
  const what = `${ids[0]} is told room_full with ${devices.size} other possible members`;
  violates('no seat is lost', stay.refused, what, ...ids);

  /** On a working server, `left_room` means that the seat is free; a partitioned server tells the others later. */
  function freeBy({ conn, left }: Stay): number {
    if (left < conn.ended && !faults.touch(conn.node, left)) return left;
    const end = Math.min(left, conn.ended);
    if (end === NEVER) return end;
    return faults.goneBy(conn.node, end, conn.gaveUp === 'fade' && end === conn.ended);
  }
}

/** Of two peers with `room_ready`, one is the initiator; in a paired room it is the device that made the code. */
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
  const paired = pairedDevices(events);
  const devices = new Map<number, string>();
  for (const event of events) {
    if (event.kind === 'asked_join') devices.set(event.id, event.device);
    if (event.kind !== 'told' || event.notice.isInitiator === undefined) continue;
    const { type, roomId, isInitiator } = event.notice;
    const pair = paired.get(roomId);
    if (pair === undefined || faults.flushAfter(pair.since) <= event.t) continue;
    const device = devices.get(event.id);
    if (device !== (isInitiator ? pair.acceptor : pair.creator)) continue;
    const what = `${type} tells the ${isInitiator ? 'acceptor' : 'creator'}, ${event.id}, isInitiator ${isInitiator}`;
    violates('the device that made the code is the initiator', event.t, what, event.id);
  }
}

/** Room → the devices that paired it, according to the answers of REST. */
function pairedDevices(events: Story['events']) {
  const asked = new Map<number, EventOf<'asked'>>();
  const creators = new Map<string, string>();
  const rooms = new Map<unknown, { creator?: string; acceptor: string; since: number }>();
  for (const event of events) {
    if (event.kind === 'asked') {
      asked.set(event.id, event);
      if (event.what === 'create') creators.set(event.code, event.device);
    }
    if (event.kind !== 'answered' || event.status !== 200) continue;
    const request = asked.get(event.id);
    if (request?.what !== 'accept') continue;
    const { code, device, t } = request;
    const since = rooms.get(event.body?.roomid)?.since ?? t;
    rooms.set(event.body?.roomid, {
      creator: creators.get(code) as string,
      acceptor: device,
      since,
    });
  }
  return rooms;
}

/** Every survivor is told within the bound, and no client is told so of a present peer. */
export function checkDepartures(story: Story): void {
  for (const ready of story.readies) {
    const [first] = ready.frames;
    const peer = story.conn(first?.label.id ?? 0);
    if (first === undefined || peer === undefined || peer === ready.conn) continue;
    const stay = peer.stays.findLast(
      ({ room, joined }) => room === ready.room && joined <= first.t,
    );
    toldOfEnd(ready, peer, stay, story);
    toldOfSilentServer(ready, peer, story);
    toldWrongly(ready, peer, stay, story);
  }
}

/** Reports a client that is not told within this time without a fault of its server. */
function told(ready: Ready, peer: Connection, gone: number, lengthMs: number, story: Story): void {
  const { faults, violates } = story;
  const by = faults.afterQuiet([ready.conn.node], Math.max(gone, ready.from), lengthMs);
  if (ready.until <= by || by > faults.horizon) return;
  const ids = [ready.conn.id, peer.id] as const;
  const what = `${ids[0]} was not told that ${ids[1]} is gone since ${(gone / 1000).toFixed(3)} s`;
  violates('a survivor is told of a dead peer within the bound', by, what, ...ids);
}

/** The peer's connection ended, or it left. */
function toldOfEnd(ready: Ready, peer: Connection, stay: Stay | undefined, story: Story): void {
  const gone = Math.min(peer.ended, stay?.left ?? NEVER);
  if (gone >= ready.until || gone === NEVER) return;
  const isSilent = peer.gaveUp === 'fade' && gone === peer.ended;
  told(ready, peer, gone, story.faults.goneBy(peer.node, gone, isSilent) - gone, story);
}

/** The peer's server is silent for longer than its lease, whatever the peer itself sees. */
function toldOfSilentServer(ready: Ready, peer: Connection, story: Story): void {
  const { goneMs, recoveryMs } = story.bounds;
  if (peer.node === ready.conn.node) return;
  for (const { from, to, node, what } of story.faults.of(peer.node)) {
    // A burst only keeps the server busy.
    if (node === null || what === 'burst') continue;
    if (from < ready.from || from >= Math.min(ready.until, peer.ended)) continue;
    const by = story.faults.afterQuiet([ready.conn.node], from, goneMs);
    // A server that was back by then may have kept its seats.
    if (to - recoveryMs > by) told(ready, peer, from, goneMs, story);
  }
}

/** The client was told that its peer left, although the peer did not leave. */
function toldWrongly(ready: Ready, peer: Connection, stay: Stay | undefined, story: Story): void {
  const { until, end, conn } = ready;
  const { settleMs } = story.bounds;
  if ((end !== 'peer_left' && end !== 'peer_disconnected') || stay === undefined) return;
  const isDisturbed = [conn, peer].some(({ node }) =>
    story.faults.touch(node, until - settleMs, until),
  );
  if (isDisturbed || stay.released <= until) return;
  const isReplaced = story.others(stay).some(({ asked }) => asked > stay.asked && asked <= until);
  // The server closes a connection before its client detects it.
  const isEnded = peer.ended <= until || peer.closed - settleMs <= until;
  if (end === 'peer_disconnected' && (isReplaced || isEnded)) return;
  const what = `${conn.id} is told ${end}, and ${peer.id} is there`;
  const rule = 'nobody is told that a peer is gone who is there';
  story.violates(rule, until, what, conn.id, peer.id);
}
