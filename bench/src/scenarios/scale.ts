// What a message costs the server as rooms grow: few messages are on their way at a time, but they visit every room.
import type { Scale } from '../conductor/contest.js';
import { sampleOf } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { figureOf, type Row } from '../figures/row.js';
import type { Measurement } from '../load/job.js';
import { fitting } from './open-files.js';

const ROOMS = [100, 1000, 10_000, 50_000];
const IN_FLIGHT = 100;

interface Stand {
  server: RunningServer;
  generator: Generator;
  rooms: number;
  rounds: Measurement[];
}

export async function scale(scale: Scale): Promise<Row[]> {
  const wanted = scale.short ? [10, 50] : ROOMS;
  const { count: most, note } = fitting(wanted.at(-1) as number, 2);
  const sizes = [...new Set(wanted.map((rooms) => Math.min(rooms, most)))];
  const stands: Stand[] = [];
  try {
    for (const rooms of sizes) stands.push(await stand(rooms, scale));
    for (let round = 0; round < Math.min(scale.rounds, 3); round++) {
      for (const { generator, rounds } of stands) {
        rounds.push(await generator.measure(scale.seconds));
      }
    }
  } finally {
    for (const { server, generator } of stands) {
      await generator.stop();
      await server.stop();
    }
  }
  const rows = stands.map(({ rooms, rounds }) => costRow(`${rooms}`, `${rooms} rooms`, rounds));
  return [...rows, growthRow(stands, note)];
}

async function stand(rooms: number, { workFolder }: Scale): Promise<Stand> {
  const server = await startServer(SPECS.couplet, workFolder);
  try {
    const generator = await Generator.prepare({
      kind: 'forward-closed',
      dialect: 'couplet',
      pairs: rooms,
      frame: 'candidate',
      inFlight: Math.min(IN_FLIGHT, rooms),
      hop: true,
      port: server.port,
      pid: server.pid,
    });
    return { server, generator, rooms, rounds: [] };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const cost = ({ values }: Measurement) => values.serverMicroseconds ?? Number.NaN;

const costRow = (id: string, label: string, rounds: readonly Measurement[]): Row => ({
  id: `scale/${id}`,
  label: `${label}: the server's CPU time per message`,
  unit: 'µs',
  better: 'less',
  figures: { couplet: figureOf(rounds.map((round) => sampleOf(round, cost(round)))) },
});

/** The largest size against the smallest. */
function growthRow(stands: readonly Stand[], note: string | undefined): Row {
  const [base] = stands;
  const largest = stands.at(-1);
  const ratios = (largest?.rounds ?? []).map((round, n) =>
    sampleOf(round, cost(round) / cost(base?.rounds[n] as Measurement)),
  );
  return {
    id: 'scale/growth',
    label: `${largest?.rooms} rooms: cost of a message, against that in ${base?.rooms} rooms`,
    unit: '×',
    better: 'less',
    figures: { couplet: figureOf(ratios) },
    ...(note === undefined ? {} : { note }),
  };
}
