// Checks service: no failure, close or end without a recent fault, and full service after the last fault.
import { type Event, grouped, type Operation } from '../history.js';
import type { Connection } from './connections.js';
import { Spans } from './disturbances.js';
import { Recovery } from './recovery.js';
import type { Story, Violation } from './violation.js';

const AVAILABLE = 'available where no fault is near';

export function serviceViolations(story: Story): Violation[] {
  return [
    ...refusedJoins(story),
    ...story.connections.all.flatMap((connection) => closes(connection, story)),
    ...refusedRequests(story),
    ...story.events.flatMap(incidents),
    ...recoveries(story).flatMap(({ violations }) => violations),
  ];
}

function incidents(event: Event): Violation[] {
  const { t } = event;
  if (event.kind === 'died') {
    return [{ rule: 'no server ends by itself', t, what: `node ${event.node}: ${event.how}` }];
  }
  if (event.kind !== 'leaked') return [];
  return [{ rule: 'nothing of a pairing is logged', t, what: `node ${event.node}: ${event.line}` }];
}

function refusedJoins({ events: all, connections, disturbances, bounds }: Story): Violation[] {
  const full = new Spans(all, 'redis-full');
  const hasRecord = recordsOf(connections.stays, new Spans(all, 'redis-flush'));
  // Of thousands of concurrent joins, those beyond the bound of the queue are refused.
  const judged = connections.all.filter(({ part }) => part !== 'crowd');
  return judged.flatMap(({ conn, node, events }) => {
    let room = '';
    return events.flatMap((event) => {
      const { t } = event;
      if (event.kind === 'asked_join') room = event.room;
      if (event.kind !== 'told' || event.notice.code !== 'unavailable') return [];
      if (disturbances.touch(node, t, t)) return [];
      if (full.last(t, bounds.settleMs) && !hasRecord(room, t)) return [];
      const what = `${conn} is told unavailable by node ${node}`;
      return [{ rule: AVAILABLE, t, what, conns: [conn] }];
    });
  });
}

/**
 * A 408 that comes sooner than this is no answer to the request, whose ten seconds have just begun. The server had sent it
 * for the connection, on which nothing came for ten seconds, and the client took the connection for its next request at
 * the moment of the close.
 */
const UNUSED_MS = 1000;

function refusedRequests({ events, disturbances, bounds }: Story): Violation[] {
  const full = new Spans(events, 'redis-full');
  const needsMemory = (what: Operation) => what === 'create' || what === 'accept';
  const asked = new Map<number, Event & { kind: 'asked' }>();
  return events.flatMap((event) => {
    if (event.kind === 'asked') asked.set(event.op, event);
    if (event.kind !== 'answered' || (event.status !== 503 && event.status !== 408)) return [];
    const { t, op, status } = event;
    const question = asked.get(op) as Event & { kind: 'asked' };
    if (status === 408 && t - question.t < UNUSED_MS) return [];
    if (disturbances.touch(question.node, t, t)) return [];
    if (needsMemory(question.what) && full.last(t, bounds.settleMs)) return [];
    const what = `${status} of node ${question.node} to ${question.what}`;
    return [{ rule: AVAILABLE, t, what, ops: [op] }];
  });
}

/** A room has a record for two minutes after its last member; this rule requires less. */
const RECORD_MS = 100_000;

/** Whether a room certainly has a record; even a full Redis then accepts its members. */
function recordsOf(stays: Story['connections']['stays'], flushes: Spans) {
  const rooms = grouped(stays, ({ room }) => room);
  return (room: string, t: number): boolean =>
    (rooms.get(room) ?? []).some(
      ({ joined, released }) =>
        joined < t && Math.min(released, t) > t - RECORD_MS && flushes.next(joined) > t,
    );
}

/** The server closes a connection only for an existing reason, unless the client closed it first. */
function closes(
  connection: Connection,
  { connections, disturbances, bounds: { settleMs } }: Story,
): Violation[] {
  const { conn, node, closed, closeCode, gaveUp, stays } = connection;
  if (gaveUp !== undefined || closeCode === undefined) return [];
  const disturbed = disturbances.touch(node, closed - settleMs, closed);
  const replaced = () =>
    stays.some((stay) => connections.others(stay).some(({ asked }) => asked <= closed));
  const explained = {
    4001: replaced,
    1012: () => disturbed,
    1013: () => disturbed,
    1006: () => disturbed,
  }[closeCode];
  if (explained?.()) return [];
  const what = `${conn} is closed with ${closeCode} by node ${node}`;
  return [{ rule: 'no connection is closed without its reason', t: closed, what, conns: [conn] }];
}

/** Each round of faults, with the time until every pair was served; Infinity: never. A stall of the test does not count. */
export function recoveries({ events, connections, bounds: { usableMs } }: Story) {
  const stalls = new Spans(events, 'stall');
  const rounds: { recovery: Recovery; pairs: number }[] = [];
  let recovery: Recovery | undefined;
  for (const event of events) {
    if (event.kind === 'recovery') {
      recovery = new Recovery(event.t, (conn) => connections.get(conn));
      rounds.push({ recovery, pairs: event.pairs });
    } else if (event.kind === 'fault' && event.phase === 'begin' && event.what !== 'stall') {
      recovery = undefined;
    } else {
      recovery?.take(event);
    }
  }
  return rounds.map(({ recovery: { since, served }, pairs }) => {
    const took = Array.from({ length: pairs }, (_, pair) => {
      const at = served.get(pair) ?? Number.POSITIVE_INFINITY;
      return at - since - stalls.msWithin(since, at);
    });
    const violations = took.flatMap((ms, pair): Violation[] => {
      if (ms <= usableMs) return [];
      const conns = connections.all.filter((connection) => connection.pair === pair).slice(-4);
      return [
        {
          rule: 'everything is usable again after the last fault',
          t: since + usableMs,
          what: `pair ${pair} ${served.has(pair) ? `took ${Math.round(ms)} ms` : 'never was'}`,
          conns: conns.map(({ conn }) => conn),
        },
      ];
    });
    return { tookMs: Math.max(...took), violations };
  });
}
