// Limits the number of sockets of a scenario to the open files of one process, with a note.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Files that a process needs besides its sockets. */
const OTHER_FILES = 200;

/** Maximum of one process. Node raises its own soft limit to the hard one. */
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

/** The wanted number, or as many as fit. The note says which limit to raise, and how. */
export function fitting(wanted: number, perUnit = 1): { count: number; note: string | undefined } {
  const most = Math.max(0, openFiles() - OTHER_FILES);
  const count = Math.min(wanted, Math.floor(most / perUnit));
  if (count === wanted) return { count, note: undefined };
  return {
    count,
    note: `Only ${count} of ${wanted} fit, because a process may have ${most + OTHER_FILES} open files here (\`ulimit -Hn\`). If the system allows it, root can raise the limit with \`ulimit -n ${wanted * perUnit + OTHER_FILES}\` in the same shell`,
  };
}
