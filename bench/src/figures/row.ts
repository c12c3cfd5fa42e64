// What a scenario measures: one row per quantity, in it one figure per server, in it one value per round.
import { median, roundRatios, spread } from './statistics.js';

/** Servers that are measured. `bare` and `corked` forward by `ws` alone and look at nothing; `fastify` does nothing over HTTP. */
export type ServerName = 'couplet' | 'peerjs' | 'bare' | 'corked' | 'fastify';

export interface Figure {
  /** One value per round, in the order of the rounds. */
  rounds: number[];
  /** Busy share of one core: of the load generator, of the server; the larger one was the limit. Null: not known. */
  loadCpu: number | null;
  serverCpu: number | null;
  /** Answers or messages that were wrong, missing or refused, in all rounds. */
  errors: number;
}

export interface Row {
  /** Such as `forward/100/candidate/8`; goals name rows by it. */
  id: string;
  label: string;
  unit: string;
  better: 'more' | 'less';
  figures: Partial<Record<ServerName, Figure>>;
  /** What a reader must know to take it right. */
  note?: string;
}

export const medianOf = (figure: Figure): number => median(figure.rounds);
export const spreadOf = (figure: Figure): number => spread(figure.rounds);

/** Ours over theirs, round by round; empty where one of the two was not measured. */
export function ratiosOf(row: Row, against: ServerName): number[] {
  const { couplet, [against]: other } = row.figures;
  return couplet && other ? roundRatios(couplet.rounds, other.rounds) : [];
}

/** One value and its CPU shares, of one round. */
export interface Sample {
  value: number;
  loadCpu: number | null;
  serverCpu: number | null;
  errors: number;
}

/** Rounds → figure: the CPU shares are medians, the errors a sum. */
export function figureOf(samples: readonly Sample[]): Figure {
  const shares = (of: (sample: Sample) => number | null) => {
    const known = samples.map(of).filter((share) => share !== null);
    return known.length === 0 ? null : median(known);
  };
  return {
    rounds: samples.map(({ value }) => value),
    loadCpu: shares(({ loadCpu }) => loadCpu),
    serverCpu: shares(({ serverCpu }) => serverCpu),
    errors: samples.reduce((sum, { errors }) => sum + errors, 0),
  };
}
