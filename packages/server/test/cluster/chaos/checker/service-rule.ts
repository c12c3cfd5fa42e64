// Checks service: no failure, close or end without a recent fault, and full service after the last fault.
import { type Event, isOfPair, type Operation } from '../history.js';
import type { Bounds } from './bounds.js';
import type { Connection, Connections, Stay } from './connections.js';
import type { Disturbances } from './disturbances.js';
import { Spans } from './spans.js';
import { Stalls } from './stalls.js';
import type { Violation } from './violation.js';

export function serviceViolations(
  events: readonly Event[],
  connections: Connections,
  disturbances: Disturbances,
  bounds: Bounds,
): Violation[] {
  const full = new Spans(events, 'redis-full');
  const records = recordsOf(connections, new Spans(events, 'redis-flush'));
  return [
    ...connections.all.flatMap((connection) => [
      ...refusedJoins(connection, disturbances, (room, t) => {
        return full.last(t, bounds.settleMs) && !records(room, t);
      }),
      ...closes(connection, connections, disturbances, bounds),
    ]),
    ...refusedRequests(events, disturbances, (what, t) => {
      return full.last(t, bounds.settleMs) && (what === 'create' || what === 'accept');
    }),
    ...events.flatMap(incidents),
    ...recoveries(events, connections, bounds).flatMap(({ violations }) => violations),
  ];
}

function incidents(event: Event): Violation[] {
  const { t } = event;
  if (event.kind === 'died') {
    return [{ rule: 'no server ends by itself', t, what: `node ${event.node}: ${event.how}` }];
  }
  if (event.kind === 'leaked') {
    return [
      { rule: 'nothing of a pairing is logged', t, what: `node ${event.node}: ${event.line}` },
    ];
  }
  return [];
}

function refusedJoins(
  { conn, node, part, events }: Connection,
  disturbances: Disturbances,
  mayBeRefused: (room: string, t: number) => boolean,
): Violation[] {
  // Of thousands of concurrent joins, those beyond the bound of the queue are refused.
  if (part === 'crowd') return [];
  let room = '';
  return events.flatMap((event) => {
    if (event.kind === 'asked_join') room = event.room;
    if (event.kind !== 'told' || event.notice.code !== 'unavailable') return [];
    if (disturbances.touch(node, event.t, event.t) || mayBeRefused(room, event.t)) return [];
    const what = `${conn} is told unavailable by node ${node}`;
    return [{ rule: 'available where no fault is near', t: event.t, what, conns: [conn] }];
  });
}

/**
 * A 408 that comes sooner than this is no answer to the request, whose ten seconds have just begun. It was sent for the
 * connection: the client had opened it for a request that it gave up, nothing came on it for ten seconds, and the client took
 * it for the next request at the moment in which the server closed it.
 */
const UNUSED_MS = 1000;

function refusedRequests(
  events: readonly Event[],
  disturbances: Disturbances,
  mayBeRefused: (what: Operation, t: number) => boolean,
): Violation[] {
  const asked = new Map<number, Event & { kind: 'asked' }>();
  return events.flatMap((event) => {
    if (event.kind === 'asked') asked.set(event.op, event);
    if (event.kind !== 'answered' || (event.status !== 503 && event.status !== 408)) return [];
    const { t, node, what: operation } = asked.get(event.op) as Event & { kind: 'asked' };
    if (event.status === 408 && event.t - t < UNUSED_MS) return [];
    if (disturbances.touch(node, event.t, event.t) || mayBeRefused(operation, event.t)) return [];
    const what = `${event.status} of node ${node} to ${operation}`;
    return [{ rule: 'available where no fault is near', t: event.t, what, ops: [event.op] }];
  });
}

/** A room has a record for two minutes after its last member; this rule requires less. */
const RECORD_MS = 100_000;

/** Whether a room certainly has a record; even a full Redis then accepts its members. */
function recordsOf(connections: Connections, flushes: Spans) {
  const rooms = new Map<string, Stay[]>();
  for (const stay of connections.all.flatMap(({ stays }) => stays)) {
    rooms.set(stay.room, [...(rooms.get(stay.room) ?? []), stay]);
  }
  return (room: string, t: number): boolean =>
    (rooms.get(room) ?? []).some(
      ({ joined, released }) =>
        joined < t && Math.min(released, t) > t - RECORD_MS && flushes.next(joined) > t,
    );
}

/** The server closes a connection only for an existing reason, unless the client closed it first. */
function closes(
  connection: Connection,
  connections: Connections,
  disturbances: Disturbances,
  { settleMs }: Bounds,
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

export interface Recovery {
  healed: number;
  /** Until the last pair had exchanged a message both ways; Infinity: never. */
  tookMs: number;
  violations: Violation[];
}

interface Round {
  healed: number;
  pairs: number;
  /** Pair → part → time of its first message from the other. */
  heard: Map<number, Map<string, number>>;
}

const NEVER = Number.POSITIVE_INFINITY;

/**
 * After each round of faults: every pair exchanges a message both ways that was sent after the last fault was over. Time in
 * which the test stood still does not count: nobody asked for anything.
 */
export function recoveries(
  events: readonly Event[],
  connections: Connections,
  { usableMs }: Bounds,
): Recovery[] {
  const all: Recovery[] = [];
  let round: Round | undefined;
  const stalls = new Stalls();
  for (const event of events) stalls.take(event);
  const sentAt = new Map<string, number>();
  const finish = () => {
    if (round) all.push(judge(round, connections, stalls, usableMs));
    round = undefined;
  };
  for (const event of events) {
    if (event.kind === 'healed') {
      finish();
      round = { healed: event.t, heard: new Map(), pairs: event.pairs };
      sentAt.clear();
    } else if (round === undefined) {
    } else if (event.kind === 'fault' && event.phase === 'begin' && event.what !== 'stall') {
      finish();
    } else if (event.kind === 'sent') {
      sentAt.set(`${event.conn}/${event.n}`, event.t);
    } else if (event.kind === 'frame' && event.label) {
      const { conn, n } = event.label;
      const [to, from] = [connections.get(event.conn), connections.get(conn)];
      if (!to || !from || !isOfPair(to) || !isOfPair(from)) continue;
      if (to.pair !== from.pair || !sentAt.has(`${conn}/${n}`)) continue;
      const heard = round.heard.get(to.pair) ?? new Map<string, number>();
      if (!heard.has(to.part)) heard.set(to.part, event.t);
      round.heard.set(to.pair, heard);
    }
  }
  finish();
  return all;
}

function judge(
  { healed, heard, pairs }: Round,
  connections: Connections,
  stalls: Stalls,
  usableMs: number,
): Recovery {
  const took = Array.from({ length: pairs }, (_, pair) => {
    const times = heard.get(pair);
    const [one = NEVER, other = NEVER] = [times?.get('creator'), times?.get('acceptor')];
    const served = Math.max(one, other);
    return served === NEVER ? NEVER : served - healed - stalls.msWithin(healed, served);
  });
  const late = took.flatMap((ms, pair) => (ms > usableMs ? [{ ms, pair }] : []));
  const violations = late.map(({ ms, pair }) => ({
    rule: 'everything is usable again after the last fault',
    t: healed + usableMs,
    what: `pair ${pair} ${ms === NEVER ? 'never was' : `took ${Math.round(ms)} ms`}`,
    conns: connections.all
      .filter((connection) => connection.pair === pair)
      .slice(-4)
      .map(({ conn }) => conn),
  }));
  return { healed, tookMs: Math.max(...took), violations };
}
