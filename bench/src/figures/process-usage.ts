// Reads CPU time and memory of another process from the system; null if the system does not provide them.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks per second of /proc/<pid>/stat: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** CPU time that a process has used so far, in milliseconds; with nanosecond precision if the kernel provides it. */
export function cpuMilliseconds(pid: number): number | null {
  return fromSchedstat(pid) ?? fromStat(pid) ?? fromPs(pid, 'time=', clockToMilliseconds);
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
    return fromPs(pid, 'rss=', (text) => Number(text) * 1024);
  }
}

/** Sum over the threads. A thread that has ended no longer counts, but busy servers do not end threads. */
function fromSchedstat(pid: number): number | null {
  try {
    const threads = readdirSync(`/proc/${pid}/task`);
    const nanoseconds = threads.map((thread) =>
      Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0]),
    );
    const total = nanoseconds.reduce((sum, value) => sum + value, 0);
    return total > 0 ? total / 1e6 : null;
  } catch {
    return null;
  }
}

function fromStat(pid: number): number | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The program name, in brackets, may contain spaces.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND;
  } catch {
    return null;
  }
}

function fromPs(pid: number, field: string, parse: (text: string) => number): number | null {
  if (process.platform === 'linux') return null;
  try {
    return parse(execFileSync('ps', ['-o', field, '-p', String(pid)], { encoding: 'utf8' }).trim());
  } catch {
    return null;
  }
}

/** `[hh:]mm:ss[.cc]` as ps prints it. */
function clockToMilliseconds(text: string): number {
  return text.split(':').reduce((sum, part) => sum * 60 + Number(part), 0) * 1000;
}
