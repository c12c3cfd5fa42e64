// Thousands of clients that connect and join at once: at first, and after the server was killed and restarted.
import { at, rowOf, type Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import type { Row } from '../figures/row.js';
import type { Measurement } from '../load/job.js';
import { DIALECT_OF } from './forward.js';
import { fitting } from './open-files.js';

export const CLIENTS = 4000;
const STORMED = ['couplet', 'peerjs', 'corked'] as const;

type Storms = Record<(typeof STORMED)[number], Measurement[]>;

export async function storm(scale: Scale): Promise<Row[]> {
  const { count, note } = fitting(scale.short ? 200 : CLIENTS);
  const first: Storms = { couplet: [], peerjs: [], corked: [] };
  const again: Storms = { couplet: [], peerjs: [], corked: [] };
  for (let round = 0; round < Math.min(scale.rounds, 3); round++) {
    for (const name of STORMED) {
      const [atFirst, afterwards] = await storms(name, count, scale);
      first[name].push(atFirst);
      again[name].push(afterwards);
    }
  }
  const row = (id: string, label: string, measured: Storms): Row =>
    rowOf(
      {
        id: `storm/${id}`,
        label: `${count} clients at once, ${label}: until the last is in its room`,
        unit: 's',
        better: 'less',
        ...(note === undefined ? {} : { note }),
      },
      measured,
      'seconds',
    );
  return [row('first', 'to a new server', first), row('again', 'back after a restart', again)];
}

async function storms(
  name: (typeof STORMED)[number],
  connections: number,
  { workFolder }: Scale,
): Promise<[first: Measurement, again: Measurement]> {
  let server: RunningServer | undefined = await startServer(SPECS[name], workFolder);
  let generator: Generator | undefined;
  try {
    generator = await Generator.prepare({
      ...at(server),
      kind: 'crowd',
      dialect: DIALECT_OF[name],
      connections,
      join: true,
      atOnce: connections,
    });
    const first = await generator.measure(0);
    const before = server;
    server = undefined;
    await before.stop('SIGKILL');
    server = await startServer(SPECS[name], workFolder, before);
    generator.serverIsNow(server.pid);
    return [first, await generator.measure(0)];
  } finally {
    await generator?.stop();
    await server?.stop();
  }
}
