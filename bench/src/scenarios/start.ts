// Time from the start with an empty database to the first answer, and memory afterwards.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scale } from '../conductor/contest.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { ROOT, SPECS } from '../conductor/specs.js';
import { residentBytes } from '../figures/process-usage.js';
import { bare, figureOf, type Row } from '../figures/row.js';

const STARTED = ['couplet', 'peerjs', 'fastify'] as const;
/** After eight seconds without work, V8 releases memory that only the start needed. */
const REST_MS = 10_000;
const RESTS = 2;

/** The bundle that users start. Other scenarios run the separate files, whose names are in profiles. */
const couplet = {
  ...SPECS.couplet,
  args: () => [`${ROOT}packages/server/bin/couplet.js`, 'serve', '--sqlite'],
};
const STARTS = { ...SPECS, couplet };

type Values = Record<(typeof STARTED)[number], number[]>;

export async function start(scale: Scale): Promise<Row[]> {
  const times: Values = { couplet: [], peerjs: [], fastify: [] };
  const memory: Values = { couplet: [], peerjs: [], fastify: [] };
  for (let round = 0; round < scale.rounds; round++) {
    for (const name of STARTED) {
      // Without load, a server that starts may use all cores for its threads.
      const server = await startServer(STARTS[name], scale.workFolder, undefined, 'any');
      times[name].push(server.startMs);
      await server.stop();
    }
  }
  for (let round = 0; round < Math.min(scale.rounds, RESTS); round++) await rest(memory, scale);
  const row = (id: string, label: string, unit: string, values: Values): Row => {
    const figures = Object.entries(values).map(([name, rounds]) => [
      name,
      figureOf(rounds.map((value) => bare(value))),
    ]);
    return { id, label, unit, better: 'less', figures: Object.fromEntries(figures) };
  };
  return [
    row('start/firstAnswer', 'cold start to the first answer', 'ms', times),
    row('start/memory', 'resident memory, ten seconds later', 'MB', memory),
  ];
}

/** Measures the resident memory of all of them, which are idle at the same time. */
async function rest(memory: Values, { short, workFolder }: Scale): Promise<void> {
  const servers: RunningServer[] = [];
  try {
    for (const name of STARTED) servers.push(await startServer(STARTS[name], workFolder));
    await sleep(short ? 0 : REST_MS);
    for (const [n, { pid }] of servers.entries()) {
      const name = STARTED[n] as keyof Values;
      memory[name].push((residentBytes(pid) ?? Number.NaN) / 1e6);
    }
  } finally {
    for (const server of servers) await server.stop();
  }
}
