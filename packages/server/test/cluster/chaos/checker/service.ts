// Checks service: no failure, close or end without a recent fault, and full service after the last fault.
import { type EventOf, NEVER, Recovery } from '../history.js';
import type { Connection, Story } from './story.js';

export function checkService(story: Story): void {
  const { events, conns, faults, violates } = story;
  const asked = new Map<number, EventOf<'asked'>>();
  const refused = (t: number, node: number, what: string, id: number) => {
    if (faults.touch([node], t)) return;
    violates('available unless a fault is near', t, `${what} by node ${node}`, id);
  };
  for (const event of events) {
    const { t } = event;
    if (event.kind === 'asked') asked.set(event.id, event);
    if (event.kind === 'died') {
      violates('no server ends by itself', t, `node ${event.node}: ${event.how}`);
    } else if (event.kind === 'leaked') {
      violates('nothing of a pairing is logged', t, `node ${event.node}: ${event.line}`);
    } else if (event.kind === 'answered' && event.status === 503) {
      const { node, what } = asked.get(event.id) as EventOf<'asked'>;
      refused(t, node, `503 to ${what}`, event.id);
    } else if (event.kind === 'told' && event.notice.type === 'error') {
      const { code } = event.notice;
      const { id, node } = conns.get(event.id) as Connection;
      if (code === 'unavailable') refused(t, node, `${id} is told unavailable`, id);
      // These answer a message that crossed a departure.
      else if (code !== 'no_peer' && code !== 'not_in_room')
        violates('no error for a valid message', t, `${code}`, id);
    }
  }
  const joins = events.filter((event) => event.kind === 'asked_join');
  for (const conn of conns.values()) closes(conn, joins, story);
}

/** The server closes a connection only for an existing reason, unless the client closed it first. */
function closes(conn: Connection, joins: readonly EventOf<'asked_join'>[], story: Story): void {
  const { id, node, closed, gaveUp } = conn;
  if (gaveUp || closed === undefined) return;
  const { t, code } = closed;
  const { faults, bounds, violates } = story;
  const isTakenOver = () =>
    joins.some(
      (join) =>
        join.id !== id &&
        join.t <= t &&
        conn.joins.some(({ room, device }) => room === join.room && device === join.device),
    );
  const isExplained =
    code === 4001
      ? isTakenOver()
      : [1006, 1012, 1013].includes(code) && faults.touch([node], t - bounds.settleMs, t);
  if (isExplained) return;
  const what = `${id} is closed with ${code} by node ${node}`;
  violates('no connection is closed without its reason', t, what, id);
}

/** The time until every pair was served, for each round of faults. A stall of the test does not count. */
export function checkRecoveries(story: Story): number[] {
  const { events, conns, faults, bounds, violates } = story;
  const rounds: { recovery: Recovery; pairs: number }[] = [];
  let recovery: Recovery | undefined;
  for (const event of events) {
    if (event.kind === 'recovery') {
      recovery = new Recovery(event.t);
      rounds.push({ recovery, pairs: event.pairs });
    } else if (event.kind === 'fault' && event.phase === 'begin' && event.what !== 'stall') {
      recovery = undefined;
    } else if (event.kind === 'frame' && event.label) {
      const { pair, part } = (conns.get(event.id) as Connection).opened;
      recovery?.take(pair, part, event.label, event.t);
    }
  }
  return rounds.map(({ recovery: { since, served }, pairs }) => {
    const took = Array.from({ length: pairs }, (_, pair) => {
      const at = served.get(pair) ?? NEVER;
      return at - since - faults.stalledMs(since, at);
    });
    for (const [pair, ms] of took.entries()) {
      if (ms <= bounds.usableMs) continue;
      const ofPair = [...conns.values()].filter(({ opened }) => opened.pair === pair);
      const ids = ofPair.slice(-4).map(({ id }) => id);
      const what = `pair ${pair} took ${Math.round(ms)} ms`;
      const rule = 'everything is usable again after the last fault';
      violates(rule, since + bounds.usableMs, what, ...ids);
    }
    return Math.max(...took);
  });
}
