// Emulates a slow disk for one server: compiles and preloads a shim over fsync and fdatasync.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { ServerSpec } from './server.js';
import { ROOT } from './specs.js';

const SOURCE = join(ROOT, 'bench/shim/slow-fsync.c');

/** Compiles the shim into a folder; null if this is not Linux or there is no C compiler. */
export function compileSlowFsync(folder: string): string | null {
  if (process.platform !== 'linux') return null;
  const library = join(folder, 'slow-fsync.so');
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, SOURCE, '-ldl'], {
      stdio: 'ignore',
    });
    return library;
  } catch {
    return null;
  }
}

/** The same server with each fsync slower by this time. */
export const withSlowFsync = (spec: ServerSpec, library: string, ms: number): ServerSpec => ({
  ...spec,
  env: (port, folder) => ({
    ...spec.env(port, folder),
    LD_PRELOAD: library,
    SLOW_FSYNC_MS: String(ms),
  }),
});
