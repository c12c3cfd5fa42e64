// npm run bench:profile: CPU profiles of the server while it forwards, pairs and accepts a storm, as flame graphs.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { CORES } from './conductor/children.js';
import { pinSelf } from './conductor/cores.js';
import { Generator } from './conductor/generator.js';
import { startServer } from './conductor/server.js';
import { couplet, ROOT } from './conductor/specs.js';
import type { Job } from './load/job.js';
import { type Call, callTree, largestCosts } from './profile/cpu-profile.js';
import { flameGraph } from './profile/flame-graph.js';
import { replacePart } from './report/paper.js';
import { fitting } from './scenarios/open-files.js';
import { CLIENTS } from './scenarios/storm.js';
import { makeWorkFolder } from './work-folder.js';

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '4' }, out: { type: 'string' } },
});
const seconds = Number(options.seconds);
/** Number of costs that are listed. */
const TOLD = 12;
const SAMPLE_EVERY_US = 200;

const STORMING = fitting(CLIENTS).count;

type JobOf = (at: { port: number; pid: number }) => Job;

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
    job: (at) => ({ kind: 'pairing', flow: 'pairing', clients: 32, flowsPerSecond: 0, ...at }),
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
const out = options.out ?? `${ROOT}docs/performance`;
mkdirSync(out, { recursive: true });
for (const [name, { title, job }] of Object.entries(HOT_PATHS)) {
  const tree = await profiled(join(workFolder, name), job);
  writeFileSync(join(out, `flame-${name}.svg`), flameGraph(title, tree));
  const costs = largestCosts(tree).slice(0, TOLD);
  const lines = costs.map((cost) =>
    `${(cost.share * 100).toFixed(1).padStart(5)} %  ${cost.name}  ${cost.place}`.trimEnd(),
  );
  process.stdout.write(`\n${title}: largest costs by self time\n${lines.join('\n')}\n`);
  if (options.out === undefined) writeCosts(name, title, lines);
}
process.exit(0);

/** The server's calls during the measurement, without its start and its end. */
async function profiled(folder: string, job: JobOf): Promise<Call> {
  const spec = couplet([
    '--cpu-prof',
    `--cpu-prof-dir=${folder}`,
    `--cpu-prof-interval=${SAMPLE_EVERY_US}`,
  ]);
  const server = await startServer(spec, workFolder);
  let span: [number, number] = [0, 0];
  try {
    const generator = await Generator.prepare(job(server));
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
  const [file] = readdirSync(folder);
  return callTree(JSON.parse(readFileSync(join(folder, file as string), 'utf8')), ...span);
}

/** The clock of V8's profiles. */
function monotonicMicroseconds(): number {
  return Number(process.hrtime.bigint() / 1000n);
}

function writeCosts(name: string, title: string, lines: readonly string[]): void {
  const path = `${ROOT}docs/performance.md`;
  const image = `![${title}](performance/flame-${name}.svg)`;
  const part = `${image}\n\n\`\`\`\n${lines.join('\n')}\n\`\`\``;
  writeFileSync(path, replacePart(readFileSync(path, 'utf8'), `profile-${name}`, part));
}
