// Checks the events that all clients recorded against the invariants of the architecture: a pure function to violations.
//
// A client records only the messages that it gets, which may be outdated when it reads them. The checker therefore
// determines when each state is *certain*, and reports a violation only if no order of events explains the record.
import type { Bounds, Event } from '../history.js';
import { checkFrames } from './frames.js';
import { checkPairing } from './pairing.js';
import { checkRooms } from './rooms.js';
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

const RULES = [checkPairing, checkRooms, checkFrames, checkService];

export function check(events: readonly Event[], bounds: Bounds) {
  const violations: Violation[] = [];
  const story = read(events, bounds, (rule, t, what, ...ids) => {
    violations.push({ rule, t, what, ids });
  });
  for (const rule of RULES) rule(story);
  /** For each round of faults, the time until every pair was served again. */
  const recoveriesMs = checkRecoveries(story);
  /** The number of judged frames: a checker that reads nothing finds nothing. */
  const frames = story.readies.reduce((sum, ready) => sum + ready.frames.length, 0);
  return { violations: violations.sort((a, b) => a.t - b.t), recoveriesMs, frames };
}

/** The shown time before and after a violation. */
const BEFORE_MS = 15_000;
const AFTER_MS = 1000;
/** The number of shown events. */
const SHOWN = 80;

/** Describes a violation, with the latest events of its connections and requests, and the faults around it. */
export function explain(events: readonly Event[], { rule, t, what, ids }: Violation): string {
  const seconds = (ms: number) => `${(ms / 1000).toFixed(3)} s`;
  const lines = events
    .filter((event) => event.t >= t - BEFORE_MS && event.t <= t + AFTER_MS)
    .filter((event) => event.kind === 'fault' || ('id' in event && ids.includes(event.id)))
    .slice(-SHOWN)
    .map(({ t, kind, ...rest }) => `${seconds(t)} ${kind} ${JSON.stringify(rest)}`);
  return [`${rule} at ${seconds(t)}: ${what}`, ...lines].join('\n  ');
}
