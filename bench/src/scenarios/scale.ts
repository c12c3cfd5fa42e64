// The cost of a message as rooms grow: few messages are in flight, but they visit every room.
import type { Scale } from '../conductor/contest.js';
import { sampleOf } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { figureOf, type Row, type Sample } from '../figures/row.js';
import type { Measurement } from '../load/job.js';
import { dialectOf } from './forward.js';
import { fitting } from './open-files.js';

const ROOMS = [100, 1000, 10_000, 50_000];
const IN_FLIGHT = 100;

/** For comparison, the effect of the CPU caches alone. */
const SCALED = ['couplet', 'corked'] as const;
type Scaled = (typeof SCALED)[number];

interface Stand {
  name: Scaled;
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
    for (const rooms of sizes) {
      for (const name of SCALED) stands.push(await stand(name, rooms, scale));
    }
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
  return [...sizes.map((rooms) => costRow(rooms, stands)), growthRow(sizes, stands, note)];
}

async function stand(name: Scaled, rooms: number, { workFolder }: Scale): Promise<Stand> {
  const server = await startServer(SPECS[name], workFolder);
  try {
    const generator = await Generator.prepare({
      kind: 'forward-closed',
      dialect: dialectOf(name),
      pairs: rooms,
      frame: 'candidate',
      inFlight: Math.min(IN_FLIGHT, rooms),
      hop: true,
      port: server.port,
      pid: server.pid,
    });
    return { name, server, generator, rooms, rounds: [] };
  } catch (error) {
    await server.stop();
    throw error;
  }
}

const cost = ({ values }: Measurement) => values.serverMicroseconds ?? Number.NaN;

/** One figure per server, from the measurement with this many rooms. */
const figuresOf = (
  stands: readonly Stand[],
  rooms: number,
  sample: (round: Measurement, n: number, name: Scaled) => Sample,
): Row['figures'] =>
  Object.fromEntries(
    stands
      .filter((stand) => stand.rooms === rooms)
      .map(({ name, rounds }) => [
        name,
        figureOf(rounds.map((round, n) => sample(round, n, name))),
      ]),
  );

const costRow = (rooms: number, stands: readonly Stand[]): Row => ({
  id: `scale/${rooms}`,
  label: `${rooms} rooms: the server's CPU time per message`,
  unit: 'µs',
  better: 'less',
  figures: figuresOf(stands, rooms, (round) => sampleOf(round, cost(round))),
});

/** The largest size against the smallest. */
function growthRow(
  sizes: readonly number[],
  stands: readonly Stand[],
  note: string | undefined,
): Row {
  const [base = 0] = sizes;
  const largest = sizes.at(-1) ?? 0;
  const atBase = (n: number, name: Scaled) =>
    stands.find((stand) => stand.name === name && stand.rooms === base)?.rounds[n] as Measurement;
  return {
    id: 'scale/growth',
    label: `${largest} rooms: cost of a message, against that in ${base} rooms`,
    unit: '×',
    better: 'less',
    figures: figuresOf(stands, largest, (round, n, name) =>
      sampleOf(round, cost(round) / cost(atBase(n, name))),
    ),
    ...(note === undefined ? {} : { note }),
  };
}
