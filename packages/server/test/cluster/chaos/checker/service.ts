// Checks service: no failure, close or end without a recent fault, and full service after the last fault.
import { type EventOf, grouped, NEVER, type Operation, Recovery } from '../history.js';
import type { Connection, Story } from './story.js';

export function checkService(story: Story): void {
  for (const event of story.events) {
    const { t } = event;
    if (event.kind === 'died') {
      story.violates('no server ends by itself', t, `node ${event.node}: ${event.how}`);
    } else if (event.kind === 'leaked') {
      story.violates('nothing of a pairing is logged', t, `node ${event.node}: ${event.line}`);
    }
  }
  refusals(story);
  for (const conn of story.conns) closes(conn, story);
}

/**
 * A 408 that arrives sooner than this does not answer the request, which has ten seconds. The server sent it because the
 * connection was unused for ten seconds, and the client used the connection for a request at that moment.
 */
const UNUSED_MS = 1000;
/** A room has a record for two minutes after its last member; this rule requires less. */
const RECORD_MS = 100_000;

/** Joins and requests are refused only near a fault. A full Redis accepts all that needs no memory. */
function refusals({ events, stays, conn, faults, violates }: Story): void {
  const rooms = grouped(stays, ({ room }) => room);
  const hasRecord = (room: string, t: number) =>
    (rooms.get(room) ?? []).some(
      ({ joined, released }) =>
        joined < t && Math.min(released, t) > t - RECORD_MS && faults.flushAfter(joined) > t,
    );
  const refuse = (t: number, node: number, needsMemory: boolean, what: string, id: number) => {
    if (faults.touch(node, t) || (needsMemory && faults.isFull(t))) return;
    violates('available where no fault is near', t, `${what} by node ${node}`, id);
  };
  const asked = new Map<number, EventOf<'asked'>>();
  const joining = new Map<number, string>();
  for (const event of events) {
    const { t } = event;
    if (event.kind === 'asked') asked.set(event.id, event);
    if (event.kind === 'asked_join') joining.set(event.id, event.room);
    if (event.kind === 'answered' && (event.status === 503 || event.status === 408)) {
      const request = asked.get(event.id) as EventOf<'asked'>;
      if (event.status === 408 && t - request.t < UNUSED_MS) continue;
      const needsMemory = ['create', 'accept'].includes(request.what satisfies Operation);
      refuse(t, request.node, needsMemory, `${event.status} to ${request.what}`, event.id);
    }
    if (event.kind !== 'told' || event.notice.code !== 'unavailable') continue;
    const { node, part } = conn(event.id) as Connection;
    // Of thousands of concurrent joins, those beyond the bound of the queue are refused.
    if (part === 'crowd') continue;
    const needsMemory = !hasRecord(joining.get(event.id) ?? '', t);
    refuse(t, node, needsMemory, `${event.id} is told unavailable`, event.id);
  }
}

/** The server closes a connection only for an existing reason, unless the client closed it first. */
function closes(conn: Connection, { others, faults, bounds, violates }: Story): void {
  const { id, node, closed, closeCode, gaveUp, stays } = conn;
  if (gaveUp !== undefined || closeCode === undefined) return;
  const isExplained =
    closeCode === 4001
      ? stays.some((stay) => others(stay).some(({ asked }) => asked <= closed))
      : [1006, 1012, 1013].includes(closeCode) &&
        faults.touch(node, closed - bounds.settleMs, closed);
  if (isExplained) return;
  const what = `${id} is closed with ${closeCode} by node ${node}`;
  violates('no connection is closed without its reason', closed, what, id);
}

/** The time until every pair was served, for each round of faults. A stall of the test does not count. */
export function checkRecoveries(story: Story): number[] {
  const { events, conn, conns, faults, bounds, violates } = story;
  const rounds: { recovery: Recovery; pairs: number }[] = [];
  let recovery: Recovery | undefined;
  for (const event of events) {
    if (event.kind === 'recovery') {
      recovery = new Recovery(event.t, conn);
      rounds.push({ recovery, pairs: event.pairs });
    } else if (event.kind === 'fault' && event.phase === 'begin' && event.what !== 'stall') {
      recovery = undefined;
    } else {
      recovery?.take(event);
    }
  }
  return rounds.map(({ recovery: { since, served }, pairs }) => {
    const took = Array.from({ length: pairs }, (_, pair) => {
      const at = served.get(pair) ?? NEVER;
      return at - since - faults.stalledMs(since, at);
    });
    for (const [pair, ms] of took.entries()) {
      if (ms <= bounds.usableMs) continue;
      const ids = conns.filter((one) => one.pair === pair).map(({ id }) => id);
      const what = `pair ${pair} took ${Math.round(ms)} ms`;
      const rule = 'everything is usable again after the last fault';
      violates(rule, since + bounds.usableMs, what, ...ids.slice(-4));
    }
    return Math.max(...took);
  });
}
