// Selects the core of the server and the core of the load generator, if the system allows it.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

export interface Cores {
  server: number;
  load: number;
}

/** Two cores that are not hyperthread siblings; null if there are none or no `taskset`, and nothing is pinned. */
export function chooseCores(): Cores | null {
  try {
    execFileSync('taskset', ['--version'], { stdio: 'ignore' });
    const allowed = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'utf8'));
    const cores = listOf(allowed?.[1] ?? '');
    const [server] = cores;
    if (server === undefined) return null;
    const siblings = siblingsOf(server);
    const load = cores.find((core) => !siblings.includes(core)) ?? cores[1];
    return load === undefined ? null : { server, load };
  } catch {
    // Not Linux, or a minimal one without util-linux.
    return null;
  }
}

/** `0-2,5` → 0, 1, 2, 5. */
export function listOf(text: string): number[] {
  return Array.from(text.matchAll(/(\d+)(?:-(\d+))?/g)).flatMap(([, first, last = first]) =>
    Array.from({ length: Number(last) - Number(first) + 1 }, (_, n) => Number(first) + n),
  );
}

function siblingsOf(core: number): number[] {
  const path = `/sys/devices/system/cpu/cpu${core}/topology/thread_siblings_list`;
  try {
    return listOf(readFileSync(path, 'utf8').trim());
  } catch {
    return [core];
  }
}

/** Keeps this process off the server's core. */
export function pinSelf({ load }: Cores): void {
  execFileSync('taskset', ['-acp', String(load), String(process.pid)], { stdio: 'ignore' });
}
