// Frames: a sender's order without duplicates, from the one who is named, of one peer in each membership, and none lost.
import type { Event } from '../history.js';
import type { Connection, Connections } from './connections.js';
import type { Disturbances } from './disturbances.js';
import type { Memberships } from './memberships.js';
import type { Ready } from './reading.js';
import type { Violation } from './violation.js';

type Sent = Event & { kind: 'sent' };

export function frameViolations(
  connections: Connections,
  readies: readonly Ready[],
  memberships: Memberships,
  disturbances: Disturbances,
): Violation[] {
  const sent = new Map<number, readonly Sent[]>();
  for (const { conn, events } of connections.all) {
    sent.set(
      conn,
      events.filter((event) => event.kind === 'sent'),
    );
  }
  return [
    ...connections.all.flatMap((connection) => received(connection, connections, sent)),
    ...readies.flatMap(onePeer),
    ...memberships.pairs.flatMap(([one, other]) => [
      ...missing(one, other, sent, disturbances),
      ...missing(other, one, sent, disturbances),
    ]),
  ];
}

/** Everything that came to one connection, whatever it then knew of its peer. */
function received(
  { conn, events }: Connection,
  connections: Connections,
  sent: ReadonlyMap<number, readonly Sent[]>,
): Violation[] {
  const found: Violation[] = [];
  const last = new Map<number, number>();
  for (const event of events) {
    if (event.kind !== 'frame' || event.label === null) continue;
    const { t, from, label } = event;
    const conns = [conn, label.conn];
    const name = `${label.conn}/${label.n}`;
    if (connections.byClientId(from)?.conn !== label.conn || label.conn === conn) {
      found.push({ rule: '`from` is the sender', t, what: `${name} came as of ${from}`, conns });
    }
    const original = sent.get(label.conn)?.[label.n - 1];
    if (JSON.stringify(labelOf(original)) !== JSON.stringify(labelOf(label))) {
      found.push({ rule: 'content is forwarded unchanged', t, what: name, conns });
    }
    const before = last.get(label.conn) ?? 0;
    if (label.n <= before) {
      const rule = "a sender's order, without duplicates";
      found.push({ rule, t, what: `${name} came after ${label.conn}/${before}`, conns });
    }
    last.set(label.conn, Math.max(before, label.n));
  }
  return found;
}

function labelOf(sent: Omit<Sent, 't' | 'kind'> | undefined) {
  return sent && [sent.conn, sent.n, sent.ready, sent.initiator, sent.room];
}

/** Between two `room_ready` there is one peer: another one is announced before its frames come. */
function onePeer({ conn, frames }: Ready): Violation[] {
  const first = frames[0]?.label;
  const stranger = frames.find(({ label }) => label?.conn !== first?.conn);
  if (stranger === undefined) return [];
  const conns = [conn.conn, first?.conn as number, stranger.label?.conn as number];
  const what = `${conns[2]} is heard by ${conns[0]} among the frames of ${conns[1]}`;
  return [{ rule: 'frames come from the present peer', t: stranger.t, what, conns }];
}

/** Of what one sent in a membership, everything before the last that came has come, unless a fault was near. */
function missing(
  sender: Ready,
  receiver: Ready,
  sent: ReadonlyMap<number, readonly Sent[]>,
  disturbances: Disturbances,
): Violation[] {
  const { conn } = sender.conn;
  let last = 0;
  let until = 0;
  for (const { t, label } of receiver.frames) {
    if (label?.conn !== conn || label.ready !== sender.index) continue;
    last = label.n;
    until = t;
  }
  const from = Math.min(sender.from, receiver.from);
  const nodes = [sender.conn.node, receiver.conn.node];
  if (last === 0 || nodes.some((node) => disturbances.touch(node, from, until))) return [];
  const all = sent.get(conn) ?? [];
  // Who joined again has had several `room_ready` in one membership: wherever it came, it came.
  const came = new Set<number>();
  for (const event of receiver.conn.events) {
    if (event.kind === 'frame' && event.label?.conn === conn) came.add(event.label.n);
  }
  const lost: number[] = [];
  for (let n = last - 1; all[n - 1]?.ready === sender.index; n--) if (!came.has(n)) lost.unshift(n);
  if (lost.length === 0) return [];
  const conns = [conn, receiver.conn.conn];
  const what = `${conns[1]} never got ${lost.map((n) => `${conn}/${n}`).join(', ')}`;
  return [{ rule: 'no frame is lost between two that no fault touches', t: until, what, conns }];
}
