// What a scenario measures: one row per quantity, in it one figure per server, in it one value per round.
import { median, roundRatios, spread } from './statistics.js';

/** Servers that are measured. `bare` and `corked` forward by `ws` alone and look at nothing; `fastify` does nothing over HTTP. */
export type ServerName = 'couplet' | 'peerjs' | 'bare' | 'corked' | 'fastify';

export interface Figure {
  /** One value per round, in the order of the rounds; so are the shares below, null where the system does not tell. */
  rounds: number[];
  /** Busy share of one core: of the load generator, of the server; the larger one was the limit. */
  loadCpu: (number | null)[];
  serverCpu: (number | null)[];
  /** Share of the time for which either was ready to run and another process had its core. */
  crowded: (number | null)[];
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

/** The median of what is known; null where nothing is. */
export function medianShare(shares: readonly (number | null)[]): number | null {
  const known = shares.filter((share) => share !== null);
  return known.length === 0 ? null : median(known);
}

/** Ours over theirs, round by round; empty where one of the two was not measured. */
export function ratiosOf(row: Row, against: ServerName): number[] {
  const { couplet, [against]: other } = row.figures;
  return couplet && other ? roundRatios(couplet.rounds, other.rounds) : [];
}

/** One round: its value, and who was busy. */
export interface Sample {
  value: number;
  loadCpu: number | null;
  serverCpu: number | null;
  crowded: number | null;
  errors: number;
}

export const figureOf = (samples: readonly Sample[]): Figure => ({
  rounds: samples.map(({ value }) => value),
  loadCpu: samples.map(({ loadCpu }) => loadCpu),
  serverCpu: samples.map(({ serverCpu }) => serverCpu),
  crowded: samples.map(({ crowded }) => crowded),
  errors: samples.reduce((sum, { errors }) => sum + errors, 0),
});

/** A figure of one round in which nobody looked who was busy. */
export const single = (value: number, errors = 0): Figure =>
  figureOf([{ value, loadCpu: null, serverCpu: null, crowded: null, errors }]);
