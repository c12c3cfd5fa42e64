// Measures several servers in turn (A B C A B C …), so that drift affects all of them equally.
import { figureOf, type Row, type Sample, type ServerName } from '../figures/row.js';
import type { Job, Measurement } from '../load/job.js';
import { Generator } from './generator.js';
import { type RunningServer, type ServerSpec, startServer } from './server.js';

/** The duration of a run: full, or just long enough to see that everything works. */
export interface Scale {
  rounds: number;
  seconds: number;
  short: boolean;
  workFolder: string;
}

export interface Contender {
  name: ServerName;
  spec: ServerSpec;
  job: (server: RunningServer) => Job;
}

export type Measurements = Map<ServerName, Measurement[]>;

/** One server and one generator per contestant, all running from the beginning; only one pair is active at a time. */
export async function contest(
  contenders: readonly Contender[],
  { rounds, seconds, workFolder }: Scale,
): Promise<Measurements> {
  const measurements: Measurements = new Map();
  const stands: { name: ServerName; server: RunningServer; generator: Generator }[] = [];
  try {
    for (const { name, spec, job } of contenders) {
      const server = await startServer(spec, workFolder);
      try {
        stands.push({ name, server, generator: await Generator.prepare(job(server)) });
      } catch (error) {
        await server.stop();
        throw new Error(`${name}: ${(error as Error).message}`);
      }
      measurements.set(name, []);
    }
    for (let round = 0; round < rounds; round++) {
      for (const { name, generator } of stands) {
        measurements.get(name)?.push(await generator.measure(seconds));
      }
    }
  } finally {
    for (const { server, generator } of stands) {
      await generator.stop();
      await server.stop();
    }
  }
  return measurements;
}

/** One value of the measurements, as a row. */
export function rowOf(
  row: Omit<Row, 'figures'>,
  measurements: Measurements,
  value: (values: Record<string, number>) => number,
): Row {
  const figures: Row['figures'] = {};
  for (const [name, rounds] of measurements) {
    figures[name] = figureOf(rounds.map((round) => sampleOf(round, value(round.values))));
  }
  return { ...row, figures };
}

export const sampleOf = (
  { loadCpu, serverCpu, crowded, errors }: Measurement,
  value: number,
): Sample => ({ value, loadCpu, serverCpu, crowded, errors });
