// Selects the ratios of a row that are valid although other processes compete for the same cores. Pure.
import { type Figure, type Row, ratiosOf, roundRatios, type ServerName } from './figures/row.js';

/** Beyond this share of time without its core, a round mainly measures the other processes. */
const CROWDED = 0.1;
/** Below this share of its core, a server has hardly run, and its CPU time was mostly context switches. */
const HARDLY_RUN = 0.3;
/** Minimum number of rounds to judge by. */
const ENOUGH = 3;

export interface Judgeable {
  ratios: number[];
  by: 'time' | 'CPU time';
}

/**
 * The ratios of the rounds in which no process was kept from its core. If there are too few, or if `perCpu` is set, the
 * ratios of the work per CPU second of the server: its work is the same, however long it had to wait.
 */
export function judgeable(row: Row, against: ServerName, perCpu: boolean): Judgeable {
  const ratios = ratiosOf(row, against);
  const { couplet, [against]: other } = row.figures;
  if (couplet === undefined || other === undefined) return { ratios, by: 'time' };
  const calm = ratios.filter(
    (ratio, round) => Number.isFinite(ratio) && isCalm(couplet, round) && isCalm(other, round),
  );
  if (!perCpu && calm.length >= ENOUGH) return { ratios: calm, by: 'time' };
  const [ours, theirs] = [perCpuSecond(couplet), perCpuSecond(other)];
  if (ours === null || theirs === null) return { ratios, by: 'time' };
  // A round in which one of them hardly ran has no ratio.
  return { ratios: roundRatios(ours, theirs).filter(Number.isFinite), by: 'CPU time' };
}

const isCalm = ({ crowded }: Figure, round: number): boolean => (crowded[round] ?? 0) < CROWDED;

/** Null if the system does not provide the CPU time. */
function perCpuSecond({ rounds, serverCpu }: Figure): number[] | null {
  if (serverCpu.some((share) => share === null)) return null;
  return rounds.map((value, round) => {
    const share = serverCpu[round] ?? 0;
    return share < HARDLY_RUN ? Number.NaN : value / share;
  });
}
