// Checks the events that all clients recorded against the invariants of the architecture: a pure function to violations.
//
// A client records only the messages that it gets, which may be outdated when it reads them. The checker therefore
// determines when each state is *certain* and when it is *possible*, and reports a violation only if no order of events
// explains the record.
import type { Bounds, Event } from '../history.js';
import { checkFrames } from './frames.js';
import { checkPairing } from './pairing.js';
import { checkDepartures, checkRoles, checkSeats } from './rooms.js';
import { checkRecoveries, checkService } from './service.js';
import { read } from './story.js';

export interface Violation {
  /** The invariant, in a few words. */
  rule: string;
  t: number;
  what: string;
  /** The WebSockets and REST requests whose events show it. */
  ids: readonly number[];
}

export interface Verdict {
  violations: readonly Violation[];
  /** The amount of judged data: a checker that reads nothing finds nothing. */
  seen: { joins: number; readies: number; memberships: number; frames: number };
  /** For each round of faults, the time until every pair was served again. */
  recoveriesMs: readonly number[];
}

export function check(events: readonly Event[], bounds: Bounds): Verdict {
  const violations: Violation[] = [];
  const story = read(events, bounds, (rule, t, what, ...ids) => {
    violations.push({ rule, t, what, ids });
  });
  const { stays, readies } = story;
  for (const rule of [
    checkPairing,
    checkSeats,
    checkRoles,
    checkDepartures,
    checkFrames,
    checkService,
  ]) {
    rule(story);
  }
  const recoveriesMs = checkRecoveries(story);
  const sum = (numbers: number[]) => numbers.reduce((a, b) => a + b, 0);
  return {
    violations: violations.sort((a, b) => a.t - b.t),
    seen: {
      joins: stays.filter(({ joined }) => Number.isFinite(joined)).length,
      readies: readies.length,
      memberships: sum(readies.map(({ partners }) => partners.length)) / 2,
      frames: sum(readies.map(({ frames }) => frames.length)),
    },
    recoveriesMs,
  };
}

/** The shown time before and after a violation. */
const BEFORE_MS = 15_000;
const AFTER_MS = 1000;
/** The number of shown events of the connections themselves. */
const SHOWN = 60;

/** Describes a violation, with the latest events of its connections and requests, and the faults around it. */
export function explain(events: readonly Event[], { rule, t, what, ids }: Violation): string {
  const until = events.filter((event) => event.t <= t + AFTER_MS);
  const concerned = until.filter((event) => 'id' in event && ids.includes(event.id)).slice(-SHOWN);
  const isNear = (event: Event) =>
    event.t >= t - BEFORE_MS && (event.kind === 'fault' || event.kind === 'recovery');
  const shown = until.filter((event) => concerned.includes(event) || isNear(event));
  const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`;
  const lines = shown.map(
    ({ t, kind, ...rest }) => `${seconds(t)} ${kind} ${JSON.stringify(rest)}`,
  );
  return [`${rule} at ${seconds(t)}: ${what}`, ...lines].join('\n  ');
}
