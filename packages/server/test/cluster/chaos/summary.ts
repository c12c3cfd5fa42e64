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
  const count = (holds: (event: Event) => boolean) => events.filter(holds).length;
  const codes = new Set<string>();
  const ops = new Map<number, string>();
  const answers: Record<string, number> = {};
  const closes: Record<string, number> = {};
  const faults: Record<string, number> = {};
  const notices: Record<string, number> = {};
  const add = (counts: Record<string, number>, key: string) => {
    counts[key] = (counts[key] ?? 0) + 1;
  };
  for (const event of events) {
    if (event.kind === 'asked') ops.set(event.op, event.what);
    else if (event.kind === 'answered') {
      add(answers, `${ops.get(event.op)} ${event.status}`);
      if (ops.get(event.op) === 'accept' && event.status === 200)
        codes.add(`${event.body?.roomid}`);
    } else if (event.kind === 'closed') add(closes, `${event.code}`);
    else if (event.kind === 'told') {
      const { type, code } = event.notice;
      add(notices, type === 'error' ? `error ${code}` : type);
    } else if (event.kind === 'fault' && event.phase === 'begin') add(faults, event.what);
  }
  const logged: Record<string, number> = {};
  for (const node of nodes) {
    for (const [words, times] of Object.entries(node.logged)) {
      logged[words] = (logged[words] ?? 0) + times;
    }
  }
  const stalls = new Spans(events, 'stall');
  const list = (counts: Record<string, number>) =>
    Object.entries(counts)
      .sort(([a], [b]) => a.localeCompare(b))
      .map(([key, times]) => `${key}: ${times}`)
      .join(', ') || 'none';
  const rows: [string, string | number][] = [
    ['pairings', codes.size],
    ['REST answers', list(answers)],
    ['REST answers lost', count(({ kind }) => kind === 'lost')],
    ['connections', count(({ kind }) => kind === 'connected')],
    ['closed with', list(closes)],
    ['stays in a room', seen.joins],
    ['told', list(notices)],
    ['memberships certain', `${seen.memberships} of ${seen.readies} room_ready`],
    ['frames sent', count(({ kind }) => kind === 'sent')],
    ['frames received', seen.frames],
    ['faults', list(faults)],
    ['stalls of this test', `${Math.round(stalls.msWithin(0, Number.POSITIVE_INFINITY))} ms`],
    ['longest recovery', `${Math.round(Math.max(...recoveriesMs.slice(1)))} ms`],
    ['logged', list(logged)],
    ['violations', violations.length],
  ];
  return rows.map(([name, value]) => `${name.padEnd(20)} ${value}`);
}
