// The results of a scenario: one row per quantity, one figure per server, one value per round.
import { median, roundRatios, spread } from './statistics.js';

/** The measured servers. `bare` and `corked` only forward through `ws`, unread; `fastify` is a no-op HTTP route. */
export type ServerName = 'couplet' | 'peerjs' | 'bare' | 'corked' | 'fastify';

export interface Figure {
  /** One value per round, in order. The shares below are per round, too, and null if the system does not provide them. */
  rounds: number[];
  /** Busy share of one core, of the load generator and of the server; the larger one was the limit. */
  loadCpu: (number | null)[];
  serverCpu: (number | null)[];
  /** Share of the time for which either was runnable while another process had its core. */
  crowded: (number | null)[];
  /** Answers or messages that were wrong, missing or refused, in all rounds. */
  errors: number;
}

export interface Row {
  /** Such as `forward/100/candidate/8`; goals refer to rows by it. */
  id: string;
  label: string;
  unit: string;
  better: 'more' | 'less';
  figures: Partial<Record<ServerName, Figure>>;
  /** A note that a reader needs to interpret the row. */
  note?: string;
}

export const medianOf = (figure: Figure): number => median(figure.rounds);
export const spreadOf = (figure: Figure): number => spread(figure.rounds);

/** The median of the known values; null if there are none. */
export function medianShare(shares: readonly (number | null)[]): number | null {
  const known = shares.filter((share) => share !== null);
  return known.length === 0 ? null : median(known);
}

/** Couplet's figure over the other's, per round; empty if one of the two was not measured. */
export function ratiosOf(row: Row, against: ServerName): number[] {
  const { couplet, [against]: other } = row.figures;
  return couplet && other ? roundRatios(couplet.rounds, other.rounds) : [];
}

/** One round: its value, and CPU shares. */
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

/** A figure of one round without CPU shares. */
export const single = (value: number, errors = 0): Figure =>
  figureOf([{ value, loadCpu: null, serverCpu: null, crowded: null, errors }]);
