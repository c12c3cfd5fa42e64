// Checks seats: never three devices in a room, no old connection beside the device's new one, no refusal while a seat is free.
import { grouped } from '../history.js';
import type { Stay } from './connections.js';
import type { Disturbances } from './disturbances.js';
import type { Story, Violation } from './violation.js';

interface Span {
  from: number;
  to: number;
  stay: Stay;
}

export function seatViolations(story: Story): Violation[] {
  const rooms = grouped(story.connections.stays, ({ room }) => room);
  return [...rooms.values()].flatMap((stays) => [
    ...threeDevices(stays.flatMap((stay) => certain(stay, story))),
    ...ghosts(stays, story),
    ...refusals(stays, story),
  ]);
}

/**
 * When a stay is certain: from `room_joined` to the first event that may cost the seat, except while its server is
 * disturbed.
 */
function certain(stay: Stay, { connections, disturbances, bounds }: Story): Span[] {
  const replaced = connections.others(stay).filter(({ asked }) => asked >= stay.asked);
  const end = Math.min(
    stay.byServer ? stay.released - bounds.settleMs : stay.released,
    ...replaced.map(({ asked }) => asked),
  );
  const spans: Span[] = [];
  let from = stay.joined;
  for (const { from: begin, to } of disturbances.of(stay.conn.node)) {
    if (from >= end) break;
    if (to < from) continue;
    if (begin > from) spans.push({ from, to: Math.min(begin, end), stay });
    from = Math.max(from, to);
  }
  if (from < end) spans.push({ from, to: end, stay });
  return spans;
}

function threeDevices(spans: Span[]): Violation[] {
  const found: Violation[] = [];
  let present: Span[] = [];
  for (const span of spans.sort((a, b) => a.from - b.from)) {
    present = [...present.filter(({ to }) => to > span.from), span];
    const devices = new Set(present.map(({ stay }) => stay.device));
    if (devices.size < 3) continue;
    const conns = present.map(({ stay }) => stay.conn.conn);
    const what = `connections ${conns.join(', ')} all have a seat in ${span.stay.room}`;
    found.push({ rule: 'a room never has three members', t: span.from, what, conns });
  }
  return found;
}

/** If a device has joined again by another connection, the old one is closed within the bound. */
function ghosts(
  stays: readonly Stay[],
  { connections, disturbances, bounds: { settleMs } }: Story,
): Violation[] {
  return stays.flatMap((old) => {
    const taker = connections
      .others(old)
      .filter(({ asked, joined }) => asked > old.joined && joined < Number.POSITIVE_INFINITY)
      .sort((a, b) => a.joined - b.joined)[0];
    if (taker === undefined) return [];
    const nodes = [old.conn.node, taker.conn.node];
    const by = disturbances.quietFrom(nodes, taker.joined, settleMs) + settleMs;
    const end = Math.min(old.released, old.left, old.conn.ended);
    if (end <= by || by > disturbances.horizon) return [];
    const conns = [old.conn.conn, taker.conn.conn];
    const what = `${old.conn.conn} keeps its seat in ${old.room} beside ${taker.conn.conn}`;
    return [{ rule: 'a replaced connection is closed', t: by, what, conns }];
  });
}

/** `room_full` needs two other possible members. */
function refusals(stays: readonly Stay[], { disturbances }: Story): Violation[] {
  return stays.flatMap((refused) => {
    const { conn, device, asked } = refused;
    if (!refused.refused) return [];
    const full = conn.events.find(
      (event) => event.kind === 'told' && event.notice.type === 'room_full' && event.t >= asked,
    );
    const t = full?.t ?? asked;
    const possible = stays.filter(
      (stay) =>
        stay.device !== device &&
        !stay.refused &&
        stay.asked <= t &&
        seatFreeBy(stay, disturbances) >= asked,
    );
    const devices = new Set(possible.map((stay) => stay.device));
    if (devices.size >= 2) return [];
    const conns = [conn.conn, ...possible.map((stay) => stay.conn.conn)];
    const what = `${conn.conn} is told room_full with ${devices.size} other possible members`;
    return [{ rule: 'no seat is lost', t, what, conns }];
  });
}

/**
 * The time by which the seat of a stay is free, or has passed to another stay of its device. On a working server,
 * `left_room` means that the seat is free; a partitioned server tells the others later.
 */
function seatFreeBy({ conn, left }: Stay, disturbances: Disturbances): number {
  if (left < conn.ended && !disturbances.touch(conn.node, left, left)) return left;
  const end = Math.min(left, conn.ended);
  if (end === Number.POSITIVE_INFINITY) return end;
  return disturbances.goneBy(conn.node, end, conn.gaveUp === 'fade' && end === conn.ended);
}
