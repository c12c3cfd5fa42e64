// The results of a scenario: one row per quantity, one figure per server, one value per round.

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

export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

/**
 * Ratios of rounds that ran one right after the other, so drift affects both equally.
 * Rounds that one of them lacks are left out.
 */
export const roundRatios = (ours: readonly number[], theirs: readonly number[]): number[] =>
  ours.slice(0, theirs.length).map((value, round) => value / (theirs[round] as number));

export const medianOf = (figure: Figure): number => median(figure.rounds);

/** The range from the lowest to the highest round, as a share of the median. */
export function spreadOf({ rounds }: Pick<Figure, 'rounds'>): number {
  const middle = median(rounds);
  if (rounds.length < 2 || middle === 0) return 0;
  return (Math.max(...rounds) - Math.min(...rounds)) / Math.abs(middle);
}

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

/** A round without CPU shares. */
export const bare = (value: number, errors = 0): Sample => ({
  value,
  loadCpu: null,
  serverCpu: null,
  crowded: null,
  errors,
});
