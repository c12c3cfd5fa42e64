// Memory per idle connection, compared with that of `ws` alone.
import { setTimeout as sleep } from 'node:timers/promises';
import { type Scale, sampleOf } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { residentBytes } from '../figures/process-usage.js';
import { figureOf, type Row, type Sample } from '../figures/row.js';
import { dialectOf } from './forward.js';
import { fitting } from './open-files.js';

const CONNECTIONS = 15_000;
/** Memory is at rest when it has changed by less than this share for a while. */
const STEADY_SHARE = 0.005;
const STEADY_MS = 300;

const KINDS = ['unjoined', 'corked', 'joined', 'peerjs'] as const;
type Kind = (typeof KINDS)[number];

export async function idle(scale: Scale): Promise<Row[]> {
  const { count, note } = fitting(scale.short ? 300 : CONNECTIONS);
  const samples: Record<Kind, Sample[]> = { unjoined: [], joined: [], corked: [], peerjs: [] };
  const rounds = Math.min(scale.rounds, 2);
  for (let round = 0; round < rounds; round++) {
    for (const kind of KINDS) {
      samples[kind].push(await perConnection(kind, count, scale));
    }
  }
  const row = (kind: 'unjoined' | 'joined', label: string): Row => ({
    id: `idle/${kind}`,
    label: `${count} idle connections, ${label}: memory of each`,
    unit: 'kB',
    better: 'less',
    figures: {
      couplet: figureOf(samples[kind]),
      peerjs: figureOf(samples.peerjs),
      corked: figureOf(samples.corked),
    },
    ...(note === undefined ? {} : { note }),
  });
  return [row('unjoined', 'in no room'), row('joined', 'in rooms')];
}

async function perConnection(kind: Kind, count: number, { workFolder }: Scale): Promise<Sample> {
  const name = kind === 'unjoined' || kind === 'joined' ? 'couplet' : kind;
  const server = await startServer(SPECS[name], workFolder);
  try {
    const before = await steadyBytes(server.pid);
    const generator = await Generator.prepare({
      kind: 'crowd',
      dialect: dialectOf(name),
      connections: count,
      join: kind === 'joined',
      atOnce: 64,
      port: server.port,
      pid: server.pid,
    });
    try {
      const measurement = await generator.measure(0);
      const after = await steadyBytes(server.pid);
      return sampleOf(measurement, (after - before) / count / 1000);
    } finally {
      await generator.stop();
    }
  } finally {
    await server.stop();
  }
}

/** Resident memory once it no longer changes, or after three seconds. */
async function steadyBytes(pid: number): Promise<number> {
  let bytes = residentBytes(pid) ?? Number.NaN;
  for (let tries = 0; tries < 10; tries++) {
    await sleep(STEADY_MS);
    const now = residentBytes(pid) ?? Number.NaN;
    if (Math.abs(now - bytes) < bytes * STEADY_SHARE) return now;
    bytes = now;
  }
  return bytes;
}
