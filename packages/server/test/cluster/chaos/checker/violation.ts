// A history as the rules read it, and a violation of an invariant with the part of the history that shows it.
import type { Event } from '../history.js';
import type { Bounds } from '../settings.js';
import type { Connections } from './connections.js';
import type { Disturbances } from './disturbances.js';

export interface Story {
  events: readonly Event[];
  connections: Connections;
  disturbances: Disturbances;
  bounds: Bounds;
}

export interface Violation {
  /** The invariant, in a few words. */
  rule: string;
  t: number;
  what: string;
  /** The WebSockets whose events show it. */
  conns?: readonly number[];
  /** The REST requests that show it. */
  ops?: readonly number[];
}

/** The shown time before and after a violation. */
const BEFORE_MS = 15_000;
const AFTER_MS = 1000;
/** The number of shown events of the connections themselves. */
const SHOWN = 60;

/** Describes a violation, with the latest events of its connections and requests, and the faults around it. */
export function explain(events: readonly Event[], violation: Violation): string {
  const { rule, t, what, conns = [], ops = [] } = violation;
  const near = events.filter((event) => event.t >= t - BEFORE_MS && event.t <= t + AFTER_MS);
  const concerned = events.filter(
    (event) =>
      event.t <= t + AFTER_MS &&
      (('conn' in event && conns.includes(event.conn)) ||
        ('op' in event && ops.includes(event.op))),
  );
  const faults = near.filter((event) => event.kind === 'fault' || event.kind === 'recovery');
  const shown = [...new Set([...concerned.slice(-SHOWN), ...faults])].sort((a, b) => a.t - b.t);
  return [`${rule} at ${seconds(t)}: ${what}`, ...shown.map(line)].join('\n  ');
}

const seconds = (t: number) => `${(t / 1000).toFixed(3)} s`;

function line({ t, kind, ...rest }: Event): string {
  return `${seconds(t)} ${kind} ${JSON.stringify(rest)}`;
}
