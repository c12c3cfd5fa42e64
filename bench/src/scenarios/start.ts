// Time from the start with an empty database to the first answer, and memory afterwards.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scale } from '../conductor/contest.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { residentBytes } from '../figures/process-usage.js';
import { bare, type Figure, figureOf, type Row, type ServerName } from '../figures/row.js';

const STARTED = ['couplet', 'peerjs', 'fastify'] as const;
/** After eight seconds without work, V8 releases memory that only the start needed. */
const REST_MS = 10_000;
const RESTS = 2;

export async function start(scale: Scale): Promise<Row[]> {
  const times = new Map<ServerName, number[]>(STARTED.map((name) => [name, []]));
  const memory = new Map<ServerName, number[]>(STARTED.map((name) => [name, []]));
  for (let round = 0; round < scale.rounds; round++) {
    for (const name of STARTED) {
      // Without load, a server that starts may use all cores for its threads.
      const server = await startServer(SPECS[name], scale.workFolder, undefined, 'any');
      times.get(name)?.push(server.startMs);
      await server.stop();
    }
  }
  for (let round = 0; round < Math.min(scale.rounds, RESTS); round++) {
    for (const [name, megabytes] of await atRest(scale)) memory.get(name)?.push(megabytes);
  }
  return [
    {
      id: 'start/firstAnswer',
      label: 'cold start to the first answer',
      unit: 'ms',
      better: 'less',
      figures: figures(times),
    },
    {
      id: 'start/memory',
      label: 'resident memory, ten seconds later',
      unit: 'MB',
      better: 'less',
      figures: figures(memory),
    },
  ];
}

/** Resident memory of all of them, which are idle at the same time. */
async function atRest({ short, workFolder }: Scale): Promise<[ServerName, number][]> {
  const servers: [ServerName, RunningServer][] = [];
  try {
    for (const name of STARTED) servers.push([name, await startServer(SPECS[name], workFolder)]);
    await sleep(short ? 0 : REST_MS);
    return servers.map(([name, { pid }]) => [name, (residentBytes(pid) ?? Number.NaN) / 1e6]);
  } finally {
    for (const [, server] of servers) await server.stop();
  }
}

const figures = (rounds: Map<ServerName, number[]>): Partial<Record<ServerName, Figure>> =>
  Object.fromEntries(
    [...rounds].map(([name, values]) => [name, figureOf(values.map((value) => bare(value)))]),
  );
