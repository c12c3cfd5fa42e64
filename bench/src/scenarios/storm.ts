// Thousands of clients that connect and join at once: at first, and after the server was killed and restarted.
import type { Scale } from '../conductor/contest.js';
import { sampleOf } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { figureOf, type Row, type Sample, type ServerName } from '../figures/row.js';
import { dialectOf } from './forward.js';
import { fitting } from './open-files.js';

export const CLIENTS = 4000;
const STORMED = ['couplet', 'peerjs', 'corked'] as const;

export async function storm(scale: Scale): Promise<Row[]> {
  const { count, note } = fitting(scale.short ? 200 : CLIENTS);
  const first = new Map<ServerName, Sample[]>(STORMED.map((name) => [name, []]));
  const again = new Map<ServerName, Sample[]>(STORMED.map((name) => [name, []]));
  for (let round = 0; round < Math.min(scale.rounds, 3); round++) {
    for (const name of STORMED) {
      const samples = await storms(name, count, scale);
      first.get(name)?.push(samples.first);
      again.get(name)?.push(samples.again);
    }
  }
  const row = (id: string, label: string, samples: Map<ServerName, Sample[]>): Row => ({
    id: `storm/${id}`,
    label: `${count} clients at once, ${label}: until the last is in its room`,
    unit: 's',
    better: 'less',
    figures: Object.fromEntries([...samples].map(([name, rounds]) => [name, figureOf(rounds)])),
    ...(note === undefined ? {} : { note }),
  });
  return [row('first', 'to a new server', first), row('again', 'back after a restart', again)];
}

async function storms(
  name: (typeof STORMED)[number],
  connections: number,
  { workFolder }: Scale,
): Promise<{ first: Sample; again: Sample }> {
  let server: RunningServer | undefined = await startServer(SPECS[name], workFolder);
  let generator: Generator | undefined;
  try {
    generator = await Generator.prepare({
      kind: 'crowd',
      dialect: dialectOf(name),
      connections,
      join: true,
      atOnce: connections,
      port: server.port,
      pid: server.pid,
    });
    const first = await generator.measure(0);
    const before = server;
    server = undefined;
    await before.stop('SIGKILL');
    server = await startServer(SPECS[name], workFolder, before);
    generator.serverIsNow(server.pid);
    const again = await generator.measure(0);
    return {
      first: sampleOf(first, first.values.seconds ?? Number.NaN),
      again: sampleOf(again, again.values.seconds ?? Number.NaN),
    };
  } finally {
    await generator?.stop();
    await server?.stop();
  }
}
