// Checks frames, at any time: no fault excuses a frame that is lost untold, repeated, or from the wrong peer.
//
// A frame is delivered, or both members are told. Within one `room_ready` of a receiver, the numbers of a sender are
// therefore consecutive. A lost last frame must end the membership for both members once their servers have been
// undisturbed for `settleMs`. A server that acts on old seats violates these rules, because its frames arrive among those of
// the connection that took the seat. So does one that does not report a dead peer, because frames to it are lost.
import { isDeepStrictEqual } from 'node:util';
import type { EventOf, Label } from '../history.js';
import { goneAt, type Ready, type Story } from './story.js';

const nameOf = ({ id, n }: { id: number; n: number }) => `${id}/${n}`;

export function checkFrames(story: Story): void {
  const arrived = new Set<string>();
  const received = new Map<number, Map<number, number>>();
  for (const event of story.events) {
    if (event.kind !== 'frame' || event.label === null) continue;
    arrived.add(nameOf(event.label));
    const last = received.get(event.id) ?? new Map<number, number>();
    received.set(event.id, last);
    checkFrame(event, event.label, last, story);
  }
  for (const ready of story.readies) {
    onePeer(ready, story);
    noGap(ready, arrived, story);
    toldOfLoss(ready, arrived, story);
  }
}

/** @param last - sender → number of its last frame at this receiver */
function checkFrame(
  { id, t, from }: EventOf<'frame'>,
  label: Label,
  last: Map<number, number>,
  { conns, violates }: Story,
): void {
  const name = nameOf(label);
  const ids = [id, label.id] as const;
  const sender = conns.get(label.id);
  if (sender?.opened.clientId !== from || label.id === id) {
    violates('`from` is the sender', t, `${name} came as of ${from}`, ...ids);
  }
  const { t: _t, kind: _kind, ...original } = sender?.sent[label.n - 1] ?? {};
  if (!isDeepStrictEqual(original, { ...label })) {
    violates('content is forwarded unchanged', t, name, ...ids);
  }
  const before = last.get(label.id) ?? 0;
  if (label.n <= before) {
    violates("a sender's order, without duplicates", t, `${name} came after ${before}`, ...ids);
  }
  last.set(label.id, Math.max(before, label.n));
}

/** Between two `room_ready` there is one peer: another peer is announced before its frames arrive. */
function onePeer({ conn, frames }: Ready, { violates }: Story): void {
  const first = frames[0]?.label.id as number;
  const stranger = frames.find(({ label }) => label.id !== first);
  if (stranger === undefined) return;
  const what = `${stranger.label.id} is heard by ${conn.id} among the frames of ${first}`;
  const ids = [conn.id, first, stranger.label.id];
  violates('frames come from the present peer', stranger.t, what, ...ids);
}

const RULE = 'a frame is delivered, or both members are told';

/**
 * Within one `room_ready` of the receiver, the frames of a sender have consecutive numbers, from its first frame of the same
 * membership. It is not enough that the sender is told of a loss: without a message, the receiver takes the sequence for
 * complete.
 */
function noGap(
  { conn, frames, partners }: Ready,
  arrived: ReadonlySet<string>,
  story: Story,
): void {
  const [first] = frames;
  if (first === undefined) return;
  const { id, ready, n } = first.label;
  const sent = story.conns.get(id)?.sent ?? [];
  const isPartner = partners.some((one) => one.conn.id === id && one.index === ready);
  const start = isPartner ? (sent.find((frame) => frame.ready === ready)?.n ?? n) : n;
  const last = frames.findLast(({ label }) => label.id === id) ?? first;
  const between = sent.slice(start - 1, last.label.n);
  const lost = between.filter((frame) => !arrived.has(nameOf(frame)));
  if (lost.length === 0) return;
  story.violates(RULE, last.t, `${conn.id} never got ${lost.map(nameOf).join(', ')}`, conn.id, id);
}

/** A loss ends the membership for both members; without a known peer, for the sender. */
function toldOfLoss(sender: Ready, arrived: ReadonlySet<string>, story: Story): void {
  const { conns, faults, bounds, violates } = story;
  const { conn, index, partners } = sender;
  const lost = conn.sent.filter((frame) => frame.ready === index && !arrived.has(nameOf(frame)));
  const [first] = lost;
  if (first === undefined) return;
  const what = `the loss of ${lost.map(nameOf).join(', ')} is not told`;
  for (const receiver of partners) {
    const nodes = [conn.node, receiver.conn.node];
    const by = faults.afterQuiet(nodes, first.t, bounds.settleMs);
    // The rule without a known peer is for a peer that went by itself.
    const isUntold =
      (sender.until > by && goneAt(receiver) > by) || (receiver.until > by && goneAt(sender) > by);
    if (isUntold && by <= faults.horizon) violates(RULE, by, what, conn.id, receiver.conn.id);
  }
  // A silent peer has been detected by then.
  const nodes = [...new Set([...conns.values()].map(({ node }) => node))];
  const by = faults.afterQuiet(nodes, first.t, bounds.silentMs + bounds.settleMs);
  if (sender.until > by && by <= faults.horizon) violates(RULE, by, what, conn.id);
}
