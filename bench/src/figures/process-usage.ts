// Reads CPU time and memory of another process; null if the system is not Linux.
import { readdirSync, readFileSync } from 'node:fs';

/**
 * CPU time that a process has used so far, in milliseconds: the sum over its threads. A thread that has ended no longer
 * counts, but busy servers do not end threads.
 */
export function cpuMilliseconds(pid: number): number | null {
  try {
    const nanoseconds = readdirSync(`/proc/${pid}/task`).map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
    );
    return nanoseconds.reduce((sum, value) => sum + value, 0) / 1e6;
  } catch {
    return null;
  }
}

/** Time for which the main thread was runnable but did not get its core, in milliseconds. */
export function queuedMilliseconds(pid: number): number | null {
  try {
    const [, queued] = readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ');
    return Number(queued) / 1e6;
  } catch {
    return null;
  }
}

/** Resident memory, in bytes. */
export function residentBytes(pid: number): number | null {
  try {
    const kilobytes = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Number(kilobytes) * 1024;
  } catch {
    return null;
  }
}
