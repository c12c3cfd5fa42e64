// Checks seats, roles, and reports of departures.
//
// During a fault, a server may keep clients whose seats now belong to others: a paused or partitioned server cannot tell
// them. From the beginning of the fault until `recoveryMs` after its end, no message from it or about its clients counts as
// wrong. A change reaches the clients of different servers within `settleMs`.
import { grouped, NEVER } from '../history.js';
import { goneAt, type Stay, type Story } from './story.js';

export function checkRooms(story: Story): void {
  checkSeats(story);
  checkRoles(story);
  checkDepartures(story);
}

function checkSeats(story: Story): void {
  const { events, conns, faults, bounds, violates } = story;
  const joins = events.filter((event) => event.kind === 'asked_join');
  const joinsOf = grouped(joins, ({ room, device }) => `${room} ${device}`);
  /** When a stay is certain: until another connection of its device requests the seat, and without the times of faults. */
  const certain = ({ conn, join, from, to }: Stay) => {
    const others = joinsOf.get(`${join.room} ${join.device}`) ?? [];
    const taken = others.find(({ id, t }) => id !== conn.id && t >= join.t)?.t ?? NEVER;
    // The server closes a connection before its client reads that.
    const end = Math.min(taken, to === conn.closed?.t ? to - bounds.settleMs : to);
    return faults.between([conn.node], from, end).map((span) => ({ ...span, conn, join }));
  };
  const stays = [...conns.values()].flatMap((conn) => conn.stays);
  for (const inRoom of grouped(stays, ({ join }) => join.room).values()) {
    const spans = inRoom.flatMap(certain).sort((a, b) => a.from - b.from);
    for (const [n, { from, join }] of spans.entries()) {
      const present = spans.slice(0, n + 1).filter(({ to }) => to > from);
      if (new Set(present.map(({ join }) => join.device)).size < 3) continue;
      const ids = present.map(({ conn }) => conn.id);
      const what = `connections ${ids.join(', ')} all have a seat in ${join.room}`;
      violates('a room never has three members', from, what, ...ids);
    }
  }
}

/** Of two peers with `room_ready`, one is the initiator: the device that made the code. */
function checkRoles({ events, readies, faults, violates }: Story): void {
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
function checkDepartures({ readies, faults, bounds, violates }: Story): void {
  for (const { conn, end, until, partners } of readies) {
    if (end !== 'peer_left' && end !== 'peer_disconnected') continue;
    const [before, after] = [until - bounds.settleMs, until + bounds.settleMs];
    for (const partner of partners) {
      const peer = partner.conn;
      const isDisturbed = faults.touch([conn.node, peer.node], before, after);
      if (isDisturbed || after > faults.horizon || goneAt(partner) <= after) continue;
      const what = `${conn.id} is told ${end}, and ${peer.id} is there`;
      violates('no member is told that a present peer is gone', until, what, conn.id, peer.id);
    }
  }
}
