// Describes the machine of a run, because absolute figures mean nothing without it, and makes a folder on its disk.
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  existsSync,
  fdatasyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statfsSync,
  writeSync,
} from 'node:fs';
import { cpus, loadavg, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { median } from '../figures/row.js';
import { CORES } from './children.js';
import { ROOT } from './specs.js';

export interface Machine {
  cpu: string;
  cores: number;
  memoryGb: number;
  system: string;
  /** The load average before the run, of other work. */
  load?: number;
  /** Whether server and load generator each had a core. */
  pinned: boolean;
  /** A durable write of 4 KiB in the databases' folder, in milliseconds; 0.00 means that the disk does not wait. */
  fsyncMs: number;
  versions: Record<string, string>;
  commit: string;
}

const TMPFS = 0x01021994;
const SYNCS = 30;

export function describeMachine(workFolder: string): Machine {
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memoryGb: Math.round(totalmem() / 2 ** 30),
    system: `${process.platform} ${release()}`,
    load: loadavg()[0] as number,
    pinned: CORES !== null,
    fsyncMs: fsyncMs(workFolder),
    versions: {
      node: process.versions.node,
      ...Object.fromEntries(
        ['ws', 'fastify', '@photostructure/sqlite', 'peer'].map((name) => [name, versionOf(name)]),
      ),
    },
    commit: commit(),
  };
}

/** A file system in memory on Linux. */
const MEMORY = '/dev/shm';

/**
 * The folder for the databases and logs of a comparison that depends on no disk: in memory if the system allows it. On a slow
 * disk, a durable write also costs several times the CPU time. Deleted afterwards.
 */
export const makeMemoryFolder = (): string =>
  existsSync(MEMORY) ? temporary(`${MEMORY}/couplet-bench-`) : makeWorkFolder();

function temporary(prefix: string): string {
  const folder = mkdtempSync(prefix);
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** The folder for the databases and logs of a run: on the disk of the checkout, and deleted afterwards. */
export function makeWorkFolder(): string {
  mkdirSync(`${ROOT}data`, { recursive: true });
  const folder = temporary(`${ROOT}data/bench-`);
  if (statfsSync(folder).type === TMPFS) {
    process.stdout.write(
      'note: the checkout is in memory, so no write is durable; pairing looks faster than it is\n',
    );
  }
  return folder;
}

/** The version that a program prints, such as `v2.6.2`; null if the program is missing. */
export function programVersion(program: string, args: string[], pattern: RegExp): string | null {
  try {
    return pattern.exec(execFileSync(program, args, { encoding: 'utf8' }))?.[1] ?? 'unknown';
  } catch {
    return null;
  }
}

function fsyncMs(folder: string): number {
  const path = join(folder, 'sync');
  const file = openSync(path, 'w');
  const block = Buffer.alloc(4096);
  const times = Array.from({ length: SYNCS }, () => {
    const start = performance.now();
    writeSync(file, block);
    fdatasyncSync(file);
    return performance.now() - start;
  });
  closeSync(file);
  rmSync(path);
  return median(times);
}

function versionOf(name: string): string {
  return JSON.parse(readFileSync(`${ROOT}node_modules/${name}/package.json`, 'utf8')).version;
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const changed = git('status', '--porcelain', '--', 'packages').trim() !== '';
    return git('rev-parse', '--short', 'HEAD').trim() + (changed ? ' and changes' : '');
  } catch {
    // An archive and not a clone.
    return 'unknown';
  }
}
