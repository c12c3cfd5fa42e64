// A breach of an invariant, and the part of the history that shows it.
import type { Event } from '../history.js';

export interface Violation {
  /** The invariant, in a few words. */
  rule: string;
  t: number;
  what: string;
  /** The WebSockets whose events show it. */
  conns?: readonly number[];
  /** The things asked by REST that show it. */
  ops?: readonly number[];
}

/** What is shown before and after the moment of a violation. */
const BEFORE_MS = 15_000;
const AFTER_MS = 1000;
/** Of the connections' own events, the last so many. */
const SHOWN = 60;

/** A violation in words, with the latest events of those concerned and the faults around it. */
export function explain(events: readonly Event[], violation: Violation): string {
  const { rule, t, what, conns = [], ops = [] } = violation;
  const near = events.filter((event) => event.t >= t - BEFORE_MS && event.t <= t + AFTER_MS);
  const concerned = events.filter(
    (event) =>
      event.t <= t + AFTER_MS &&
      (('conn' in event && conns.includes(event.conn)) ||
        ('op' in event && ops.includes(event.op))),
  );
  const faults = near.filter((event) => event.kind === 'fault' || event.kind === 'healed');
  const shown = [...new Set([...concerned.slice(-SHOWN), ...faults])].sort((a, b) => a.t - b.t);
  return [`${rule} at ${seconds(t)}: ${what}`, ...shown.map(line)].join('\n  ');
}

const seconds = (t: number) => `${(t / 1000).toFixed(3)} s`;

function line({ t, kind, ...rest }: Event): string {
  return `${seconds(t)} ${kind} ${JSON.stringify(rest)}`;
}
