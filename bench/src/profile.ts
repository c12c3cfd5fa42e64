// npm run bench:profile: CPU profiles of the server while it forwards, pairs and accepts a storm, and their largest costs.
import { copyFileSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CORES } from './conductor/children.js';
import { at } from './conductor/contest.js';
import { pinSelf } from './conductor/cores.js';
import { Generator } from './conductor/generator.js';
import { makeWorkFolder } from './conductor/machine.js';
import { startServer } from './conductor/server.js';
import { couplet, ROOT } from './conductor/specs.js';
import type { Job, Server } from './load/job.js';
import { type CpuProfile, largestCosts } from './report/profile.js';
import { fitting } from './scenarios/open-files.js';
import { pairingJob } from './scenarios/pairing.js';
import { CLIENTS } from './scenarios/storm.js';

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '4' }, out: { type: 'string' } },
});
const seconds = Number(options.seconds);
/** Number of costs that are listed. */
const TOLD = 12;
const SAMPLE_EVERY_US = 200;

const STORMING = fitting(CLIENTS).count;

type JobOf = (at: Server) => Job;

const HOT_PATHS: Record<string, { title: string; job: JobOf }> = {
  forward: {
    title: 'Forwarding candidates, 100 pairs, 8 in flight',
    job: (at) => ({
      kind: 'forward-closed',
      dialect: 'couplet',
      pairs: 100,
      frame: 'candidate',
      inFlight: 8,
      hop: false,
      ...at,
    }),
  },
  pairing: {
    title: 'Pairing, 32 clients',
    job: pairingJob(32),
  },
  storm: {
    title: `${STORMING} clients connect and join at once`,
    job: (at) => ({
      kind: 'crowd',
      dialect: 'couplet',
      connections: STORMING,
      join: true,
      atOnce: STORMING,
      ...at,
    }),
  },
};

if (CORES !== null) pinSelf(CORES);
const workFolder = makeWorkFolder();
// The browser's developer tools show the profiles as flame graphs.
const out = options.out ?? `${ROOT}data/profiles`;
mkdirSync(out, { recursive: true });
for (const [name, { title, job }] of Object.entries(HOT_PATHS)) {
  const costs = (
    await profiled(join(workFolder, name), join(out, `${name}.cpuprofile`), job)
  ).slice(0, TOLD);
  const lines = costs.map((cost) =>
    `${(cost.share * 100).toFixed(1).padStart(5)} %  ${cost.name}  ${cost.place}`.trimEnd(),
  );
  process.stdout.write(`\n${title}: largest costs by self time\n${lines.join('\n')}\n`);
}
process.stdout.write(`\nThe profiles are in ${out}\n`);
process.exit(0);

/** The costs during the measurement, without the start of the server and its end. */
async function profiled(folder: string, copy: string, job: JobOf) {
  const spec = couplet([
    '--cpu-prof',
    `--cpu-prof-dir=${folder}`,
    `--cpu-prof-interval=${SAMPLE_EVERY_US}`,
  ]);
  const server = await startServer(spec, workFolder);
  let span: [number, number] = [0, 0];
  try {
    const generator = await Generator.prepare(job(at(server)));
    try {
      const from = monotonicMicroseconds();
      await generator.measure(seconds);
      span = [from, monotonicMicroseconds()];
    } finally {
      await generator.stop();
    }
  } finally {
    // The profile is written at an orderly exit.
    await server.stop('SIGTERM');
  }
  copyFileSync(join(folder, readdirSync(folder)[0] as string), copy);
  return largestCosts(JSON.parse(readFileSync(copy, 'utf8')) as CpuProfile, ...span);
}

/** The clock of V8's profiles. */
function monotonicMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
