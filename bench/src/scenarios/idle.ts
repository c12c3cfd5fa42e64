// Memory per idle connection, compared with that of `ws` alone.
import { setTimeout as sleep } from 'node:timers/promises';
import { at, rowOf, type Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { residentBytes } from '../figures/process-usage.js';
import type { Row } from '../figures/row.js';
import type { Measurement } from '../load/job.js';
import { DIALECT_OF } from './forward.js';
import { fitting } from './open-files.js';

const CONNECTIONS = 15_000;
/** Memory is at rest when it has changed by less than this share for a while. */
const STEADY_SHARE = 0.005;
const STEADY_MS = 300;

const KINDS = ['unjoined', 'corked', 'joined', 'peerjs'] as const;
type Kind = (typeof KINDS)[number];

export async function idle(scale: Scale): Promise<Row[]> {
  const { count, note } = fitting(scale.short ? 300 : CONNECTIONS);
  const measured: Record<Kind, Measurement[]> = {
    unjoined: [],
    joined: [],
    corked: [],
    peerjs: [],
  };
  for (let round = 0; round < Math.min(scale.rounds, 2); round++) {
    for (const kind of KINDS) measured[kind].push(await perConnection(kind, count, scale));
  }
  const { peerjs, corked } = measured;
  const row = (kind: 'unjoined' | 'joined', label: string): Row =>
    rowOf(
      {
        id: `idle/${kind}`,
        label: `${count} idle connections, ${label}: memory of each`,
        unit: 'kB',
        better: 'less',
        ...(note === undefined ? {} : { note }),
      },
      { couplet: measured[kind], peerjs, corked },
      'kilobytes',
    );
  return [row('unjoined', 'in no room'), row('joined', 'in rooms')];
}

async function perConnection(
  kind: Kind,
  count: number,
  { workFolder }: Scale,
): Promise<Measurement> {
  const name = kind === 'unjoined' || kind === 'joined' ? 'couplet' : kind;
  const server = await startServer(SPECS[name], workFolder);
  try {
    const before = await steadyBytes(server.pid);
    const generator = await Generator.prepare({
      ...at(server),
      kind: 'crowd',
      dialect: DIALECT_OF[name],
      connections: count,
      join: kind === 'joined',
      atOnce: 64,
    });
    try {
      const measurement = await generator.measure(0);
      const after = await steadyBytes(server.pid);
      return { ...measurement, values: { kilobytes: (after - before) / count / 1000 } };
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
