// Measures several loads in turn (A B C A B C …), so that drift affects all of them equally.
import { figureOf, type Row, type Sample, type ServerName } from '../figures/row.js';
import type { Job, Measurement, Server } from '../load/job.js';
import { Generator } from './generator.js';
import { type RunningServer, type ServerSpec, startServer } from './server.js';

/** The duration of a run: full, or just long enough to see that everything works. */
export interface Scale {
  rounds: number;
  seconds: number;
  short: boolean;
  workFolder: string;
}

/** A server and its load. */
export interface Contender {
  spec: ServerSpec;
  job: (at: Server) => Job;
}

/** The rounds of each contender. Each has its own server and generator, and only one of them is active at a time. */
export async function contest<Name extends string>(
  contenders: Record<Name, Contender>,
  { rounds, seconds, workFolder }: Scale,
): Promise<Record<Name, Measurement[]>> {
  const stands: { server: RunningServer; generator: Generator; results: Measurement[] }[] = [];
  const measurements: Record<string, Measurement[]> = {};
  try {
    for (const [name, { spec, job }] of Object.entries<Contender>(contenders)) {
      const server = await startServer(spec, workFolder);
      const results: Measurement[] = [];
      measurements[name] = results;
      try {
        stands.push({ server, generator: await Generator.prepare(job(at(server))), results });
      } catch (error) {
        await server.stop();
        throw new Error(`${name}: ${(error as Error).message}`);
      }
    }
    for (let round = 0; round < rounds; round++) {
      for (const { generator, results } of stands) results.push(await generator.measure(seconds));
    }
  } finally {
    for (const { server, generator } of stands) {
      await generator.stop();
      await server.stop();
    }
  }
  return measurements;
}

/** The address of a server, for a job. */
export const at = ({ port, pid }: RunningServer): Server => ({ port, pid });

/**
 * A row of the rounds of each server.
 *
 * @param value - the name of a value, or a function of a round
 */
export function rowOf(
  row: Omit<Row, 'figures'>,
  rounds: Partial<Record<ServerName, readonly Measurement[]>>,
  value: string | ((round: Measurement, n: number) => number),
): Row {
  const read = typeof value === 'function' ? value : reading(value);
  const figures = Object.entries(rounds).map(([name, measurements]) => [
    name,
    figureOf(measurements.map((round, n) => sampleOf(round, read(round, n)))),
  ]);
  return { ...row, figures: Object.fromEntries(figures) };
}

export const reading =
  (name: string) =>
  ({ values }: Measurement): number =>
    values[name] ?? Number.NaN;

export const sampleOf = (
  { loadCpu, serverCpu, crowded, errors }: Measurement,
  value: number,
): Sample => ({ value, loadCpu, serverCpu, crowded, errors });
