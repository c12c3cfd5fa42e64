// Summarizes a run as a table of counts and durations.
import type { Verdict } from './checker/check.js';
import { Spans } from './checker/disturbances.js';
import type { Event } from './history.js';
import type { ServerNode } from './server-node.js';

export function summary(
  events: readonly Event[],
  { violations, seen, recoveriesMs }: Verdict,
  nodes: readonly ServerNode[],
): string[] {
  const ops = new Map<number, string>();
  /** Row → what was counted → count. */
  const counts = new Map<string, Record<string, number>>();
  const add = (row: string, what: string | number, times = 1) => {
    const ofRow = counts.get(row) ?? {};
    counts.set(row, { ...ofRow, [what]: (ofRow[what] ?? 0) + times });
  };
  for (const event of events) {
    add('events', event.kind);
    if (event.kind === 'asked') ops.set(event.op, event.what);
    if (event.kind === 'answered') add('REST answers', `${ops.get(event.op)} ${event.status}`);
    if (event.kind === 'closed') add('closed with', event.code);
    if (event.kind === 'told') add('told', event.notice.code ?? event.notice.type);
    if (event.kind === 'fault' && event.phase === 'begin') add('faults', event.what);
  }
  for (const { logged } of nodes) {
    for (const [words, times] of Object.entries(logged)) add('logged', words, times);
  }
  const stallMs = new Spans(events, 'stall').msWithin(0, Number.POSITIVE_INFINITY);
  const rows: [string, string][] = [
    ...[...counts].map(([row, ofRow]): [string, string] => {
      const sorted = Object.entries(ofRow).sort(([a], [b]) => a.localeCompare(b));
      return [row, sorted.map(([what, times]) => `${what}: ${times}`).join(', ')];
    }),
    [
      'judged',
      Object.entries(seen)
        .map(([what, times]) => `${what}: ${times}`)
        .join(', '),
    ],
    ['stalls of this test', `${Math.round(stallMs)} ms`],
    ['longest recovery', `${Math.round(Math.max(...recoveriesMs.slice(1)))} ms`],
    ['violations', String(violations.length)],
  ];
  return rows.map(([name, value]) => `${name.padEnd(20)} ${value}`);
}
