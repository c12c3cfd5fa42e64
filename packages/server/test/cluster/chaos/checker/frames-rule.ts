// Checks frames: order, sender, content, one peer per membership, and that each is delivered or its loss told to both members.
import type { Event } from '../history.js';
import type { Connection } from './connections.js';
import type { Membership, Ready } from './reading.js';
import type { Story, Violation } from './violation.js';

type Sent = Event & { kind: 'sent' };

export function frameViolations(
  story: Story,
  readies: readonly Ready[],
  memberships: readonly Membership[],
): Violation[] {
  const { all } = story.connections;
  const sent = new Map(
    all.map(({ conn, events }) => [conn, events.filter((event) => event.kind === 'sent')]),
  );
  const came = new Set(
    all.flatMap(({ events }) =>
      events.flatMap((event) => (event.kind === 'frame' && event.label ? nameOf(event.label) : [])),
    ),
  );
  const byName = new Map(readies.map((ready) => [`${ready.conn.conn}:${ready.index}`, ready]));
  /** A repeated join causes another `room_ready`, and the client stays. */
  const goneAt = (ready: Ready): number => {
    const { conn, index, end, until } = ready;
    if (end === 'itself' || end === 'closed') return until;
    const next = end === 'ready_again' ? byName.get(`${conn.conn}:${index + 1}`) : undefined;
    return next ? goneAt(next) : Number.POSITIVE_INFINITY;
  };
  const nodes = [...new Set(all.map(({ node }) => node))];
  const judge: Judge = { ...story, sent, came, nodes, goneAt };
  const met = new Set(memberships.flat());
  return [
    ...all.flatMap((connection) => received(connection, judge)),
    ...readies.flatMap(onePeer),
    ...readies.flatMap((ready) => gaps(ready, judge)),
    ...memberships
      .flatMap(([one, other]) => [[one, other] as const, [other, one] as const])
      .flatMap(([sender, receiver]) => [
        ...lostAtTheBeginning(sender, receiver, judge),
        ...lostAtTheEnd(sender, receiver, judge),
      ]),
    ...readies.filter((ready) => !met.has(ready)).flatMap((ready) => lostToNobody(ready, judge)),
  ];
}

interface Judge extends Story {
  /** Connection → its sent messages; message `n` is at `n - 1`. */
  sent: ReadonlyMap<number, readonly Sent[]>;
  /** Names of all frames that arrived anywhere. */
  came: ReadonlySet<string>;
  nodes: readonly number[];
  /** When a client left or hung up by itself, or its connection broke. */
  goneAt(ready: Ready): number;
}

const RULE = 'a frame is delivered, or both members are told';

const nameOf = ({ conn, n }: { conn: number; n: number }) => `${conn}/${n}`;

/** Checks all frames that arrived at one connection, with or without a known peer. */
function received({ conn, events }: Connection, { connections, sent }: Judge): Violation[] {
  const found: Violation[] = [];
  const last = new Map<number, number>();
  for (const event of events) {
    if (event.kind !== 'frame' || event.label === null) continue;
    const { t, from, label } = event;
    const conns = [conn, label.conn];
    const name = nameOf(label);
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

/** Between two `room_ready` there is one peer: another peer is announced before its frames arrive. */
function onePeer({ conn, frames }: Ready): Violation[] {
  const first = frames[0]?.label;
  const stranger = frames.find(({ label }) => label?.conn !== first?.conn);
  if (stranger === undefined) return [];
  const conns = [conn.conn, first?.conn as number, stranger.label?.conn as number];
  const what = `${conns[2]} is heard by ${conns[0]} among the frames of ${conns[1]}`;
  return [{ rule: 'frames come from the present peer', t: stranger.t, what, conns }];
}

/**
 * Within one `room_ready` of the receiver, the frames of a sender have consecutive numbers, whatever faults there were and
 * however often the sender was told: a receiver that is not told of a loss takes the sequence for complete.
 */
function gaps({ conn, frames }: Ready, { sent, came }: Judge): Violation[] {
  const found: Violation[] = [];
  let before = frames[0]?.label;
  for (const { t, label } of frames.slice(1)) {
    if (!label || !before || label.conn !== before.conn) continue;
    const between = (sent.get(label.conn) ?? []).slice(before.n, label.n - 1);
    found.push(...lost(between.filter(isLost(came)), conn, t));
    before = label;
  }
  return found;
}

/** Frames that were sent in a membership before its first arrived frame must have arrived. */
function lostAtTheBeginning(sender: Ready, receiver: Ready, { sent, came }: Judge): Violation[] {
  const { conn } = sender.conn;
  const first = receiver.frames.find(
    ({ label }) => label?.conn === conn && label.ready === sender.index,
  );
  if (!first?.label) return [];
  const { n } = first.label;
  const before = (sent.get(conn) ?? []).filter(
    (frame) => frame.ready === sender.index && frame.n < n,
  );
  return lost(before.filter(isLost(came)), receiver.conn, first.t);
}

/** A lost frame must end the membership for both members; the other rules check members that leave by themselves. */
function lostAtTheEnd(sender: Ready, receiver: Ready, judge: Judge): Violation[] {
  const { sent, came, goneAt, disturbances, bounds } = judge;
  const frames = (sent.get(sender.conn.conn) ?? []).filter(
    (frame) => frame.ready === sender.index && isLost(came)(frame),
  );
  const [frame] = frames;
  if (frame === undefined) return [];
  const nodes = [sender.conn.node, receiver.conn.node];
  const by = disturbances.quietFrom(nodes, frame.t, bounds.settleMs) + bounds.settleMs;
  if (by > disturbances.horizon) return [];
  const isUntold = [sender, receiver].some((ready, at) => {
    const other = at === 0 ? receiver : sender;
    return ready.until > by && goneAt(other) > by;
  });
  return isUntold ? lost(frames, receiver.conn, by) : [];
}

/** Without a known peer, at least the sender must be told; a silent peer has been detected by then. */
function lostToNobody(ready: Ready, judge: Judge): Violation[] {
  const { sent, came, nodes, disturbances, bounds } = judge;
  const frames = (sent.get(ready.conn.conn) ?? []).filter(
    (frame) => frame.ready === ready.index && isLost(came)(frame),
  );
  const [frame] = frames;
  if (frame === undefined) return [];
  const length = bounds.silentMs + bounds.settleMs;
  const by = disturbances.quietFrom(nodes, frame.t, length) + length;
  return ready.until > by && by <= disturbances.horizon ? lost(frames, undefined, by) : [];
}

const isLost = (came: ReadonlySet<string>) => (frame: Sent) => !came.has(nameOf(frame));

function lost(frames: readonly Sent[], to: Connection | undefined, t: number): Violation[] {
  const [frame] = frames;
  if (frame === undefined) return [];
  const conns = [frame.conn, ...(to ? [to.conn] : [])];
  const what = `${to?.conn ?? 'nobody'} got ${frames.map(nameOf).join(', ')}`;
  return [{ rule: RULE, t, what: to ? what.replace('got', 'never got') : what, conns }];
}
