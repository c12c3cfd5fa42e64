// Runs the model of rooms in a cluster (packages/server/model) with spin: a state space, or what breaks in it.
import { execFile } from 'node:child_process';
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const model = fileURLToPath(new URL('../../model/rooms.pml', import.meta.url));

/** What the environment may do in one run, and what the nodes leave undone: names of the model's `#ifdef`s. */
export interface Bounds {
  faults: number;
  churn: number;
  frames?: number;
  sameDevice?: boolean;
  mutation?: string;
}

export interface Search {
  /** Broken assertions; pan stops at the first. */
  errors: number;
  /** Whether every state was seen. */
  complete: boolean;
  states: number;
  seconds: number;
  report: string;
}

/** How the verifier is made, and called. */
const SEARCHES = {
  /** Every state, stored in full. */
  states: { flags: ['-O1', '-DSAFETY', '-DCOLLAPSE'], options: ['-w23'] },
  /** No way round in a circle. */
  cycles: { flags: ['-O1', '-DNP'], options: ['-l', '-w22'] },
  /** Quickly made, for what breaks soon. */
  first: { flags: ['-O0', '-DSAFETY'], options: ['-w20'] },
};

/** @param folder - where the verifier is built and run */
export async function search(
  folder: string,
  kind: keyof typeof SEARCHES,
  { faults, churn, frames = 0, sameDevice = false, mutation }: Bounds,
): Promise<Search> {
  const cwd = await mkdtemp(join(folder, 'model-'));
  const { flags, options } = SEARCHES[kind];
  const names = [
    `FAULTS=${faults}`,
    `CHURN=${churn}`,
    `FRAMES=${frames}`,
    ...(sameDevice ? ['SAME_DEVICE'] : []),
    ...(mutation === undefined ? [] : [mutation]),
  ];
  await run('spin', [...names.map((name) => `-D${name}`), '-a', model], { cwd });
  // The searches are of one process with many faces: there is nothing that could be left out as independent.
  const bounded = ['-DNOREDUCE', '-DMEMLIM=4000', '-o', 'pan', 'pan.c'];
  await run('gcc', [...flags, ...bounded], { cwd });
  const { stdout: report } = await run(join(cwd, 'pan'), ['-m100000', ...options], {
    cwd,
    maxBuffer: 64 * 1024 * 1024,
  });
  const number = (pattern: RegExp) => Number(pattern.exec(report)?.[1]);
  return {
    errors: number(/errors: (\d+)/),
    complete:
      /^Full statespace search for:/m.test(report) &&
      !/not completed|too small|MEMLIM|out of memory/.test(report),
    states: number(/(\d+) states, stored/),
    seconds: number(/elapsed time ([\d.]+) seconds/),
    report,
  };
}
