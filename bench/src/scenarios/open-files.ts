// How many sockets one process may have here: scenarios that want more take what there is, and say so.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Files that a process needs beside its sockets. */
const OTHER_FILES = 200;

/** Most sockets of one process. Node raises its own soft limit to the hard one. */
export function mostSockets(): number {
  return Math.max(0, openFiles() - OTHER_FILES);
}

function openFiles(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
    return hard === 'unlimited' ? Number.POSITIVE_INFINITY : Number(hard);
  } catch {
    const text = execFileSync('sh', ['-c', 'ulimit -Hn'], { encoding: 'utf8' }).trim();
    return text === 'unlimited' ? Number.POSITIVE_INFINITY : Number(text);
  }
}

/** As many as wanted, or as fit; the note says which limit to raise, and how. */
export function fitting(wanted: number, perUnit = 1): { count: number; note: string | undefined } {
  const most = mostSockets();
  const count = Math.min(wanted, Math.floor(most / perUnit));
  if (count === wanted) return { count, note: undefined };
  return {
    count,
    note: `${wanted} wanted; ${count} fit into the ${most + OTHER_FILES} open files that a process may have here (\`ulimit -Hn\`); where root may raise that, \`ulimit -n ${wanted * perUnit + OTHER_FILES}\` in the same shell does`,
  };
}
