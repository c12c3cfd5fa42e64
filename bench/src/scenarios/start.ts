// From nothing to the first answer, with an empty database; and what the server then holds.
import { setTimeout as sleep } from 'node:timers/promises';
import type { Scale } from '../conductor/contest.js';
import { startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { residentBytes } from '../figures/process-usage.js';
import { type Figure, figureOf, type Row, type ServerName } from '../figures/row.js';

const STARTED = ['couplet', 'peerjs', 'fastify'] as const;
/** From the first answer until memory is looked at. */
const REST_MS = 1000;

export async function start(scale: Scale): Promise<Row[]> {
  const times = new Map<ServerName, number[]>(STARTED.map((name) => [name, []]));
  const memory = new Map<ServerName, number[]>(STARTED.map((name) => [name, []]));
  for (let round = 0; round < scale.rounds; round++) {
    for (const name of STARTED) {
      const server = await startServer(SPECS[name], scale.workFolder);
      await sleep(scale.short ? 0 : REST_MS);
      times.get(name)?.push(server.startMs);
      memory.get(name)?.push((residentBytes(server.pid) ?? Number.NaN) / 1e6);
      await server.stop();
    }
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
      label: 'resident memory, idle',
      unit: 'MB',
      better: 'less',
      figures: figures(memory),
    },
  ];
}

function figures(rounds: Map<ServerName, number[]>): Partial<Record<ServerName, Figure>> {
  const sample = (value: number) => ({
    value,
    loadCpu: null,
    serverCpu: null,
    crowded: null,
    errors: 0,
  });
  return Object.fromEntries(
    [...rounds].map(([name, values]) => [name, figureOf(values.map(sample))]),
  );
}
