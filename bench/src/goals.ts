// The goals of the figures, and the floors below which `npm run bench:check` fails, in one table by row.
import { median, medianOf, type Row, ratiosOf, type ServerName } from './figures/row.js';
import { judgeable } from './judgeable.js';
import { MIXES } from './scenarios/abuse.js';

export interface Goal {
  /** Id of the row. */
  row: string;
  /** Couplet as a multiple of another server's figure in the same rounds; if absent, Couplet's figure itself. */
  against?: ServerName;
  atLeast?: number;
  atMost?: number;
  /** Requires only that there are no errors, at any speed. */
  noErrors?: true;
  /** Ratio below which the check fails; set a little below the measured one, so that only a real loss falls below it. */
  floor?: number;
  /** Whether the ratio is that of work per CPU second, because a slow disk makes requests wait without costing more CPU. */
  perCpu?: boolean;
}

/** The check compares only with bare `ws`: a busy machine affects PeerJS's server in a different way. */
const forwardGoals = (row: string, peerjs: number, floor?: number): Goal[] => [
  { row, against: 'peerjs', atLeast: peerjs },
  { row, against: 'corked', atLeast: 0.9, ...(floor === undefined ? {} : { floor }) },
];

export const GOALS: readonly Goal[] = [
  ...forwardGoals('forward/100/candidate/1', 1.3, 0.75),
  ...forwardGoals('forward/100/candidate/8', 2.5, 0.9),
  ...forwardGoals('forward/100/offer/1', 1.2, 0.75),
  ...forwardGoals('forward/100/offer/8', 1.2),
  ...forwardGoals('forward/1000/candidate/1', 1.3),
  ...forwardGoals('forward/1000/candidate/8', 2.5),
  ...forwardGoals('forward/1000/offer/1', 1.2),
  ...forwardGoals('forward/1000/offer/8', 1.2),
  { row: 'pairing/1/flows', noErrors: true },
  { row: 'pairing/32/flowP99', atMost: 10 },
  { row: 'pairing/128/flows', noErrors: true },
  { row: 'mixed/p99More', atMost: 2 },
  { row: 'storm/first', against: 'corked', atMost: 1 },
  { row: 'storm/again', against: 'corked', atMost: 1 },
  { row: 'idle/unjoined', against: 'corked', atMost: 1.15 },
  { row: 'idle/joined', against: 'corked', atMost: 1.15 },
  { row: 'wait/loneP50', atMost: 5 },
  { row: 'wait/crowdP50', atMost: 5 },
  { row: 'wait/heldCpuMore', atMost: 5 },
  // The effect of the CPU caches is in both figures, so the ratio says what looking up a seat among many adds.
  { row: 'scale/growth', against: 'corked', atMost: 1.15 },
  ...Object.keys(MIXES).flatMap((mix) => [
    { row: `abuse/${mix}/forward/p99`, atMost: 50 },
    { row: `abuse/${mix}/rest/p99`, atMost: 250 },
  ]),
  { row: 'cluster/message/same/sent', noErrors: true },
  // Fastify needs the same Node.js and the same disk, so the ratio says what Couplet adds.
  { row: 'start/firstAnswer', against: 'fastify', atMost: 1.4 },
  { row: 'start/memory', against: 'fastify', atMost: 1.25 },
  // Measured: 0.41, and 0.31 while other work disturbs it. Each client has its own address in X-Forwarded-For, which the server
  // must parse.
  { row: 'pairing/32/requests', against: 'fastify', perCpu: true, atLeast: 0.45, floor: 0.22 },
];

export interface Judgement {
  goal: Goal;
  value: number;
  met: boolean;
}

/** Judges the rows that goals refer to; a row with errors meets none. Goals of unmeasured rows are left out. */
export function judge(rows: readonly Row[], goals: readonly Goal[] = GOALS): Judgement[] {
  return goals.flatMap((goal) => {
    if (!isWanted(goal)) return [];
    const row = rows.find(({ id }) => id === goal.row);
    const figure = row?.figures.couplet;
    if (row === undefined || figure === undefined) return [];
    if (goal.noErrors) return [{ goal, value: figure.errors, met: figure.errors === 0 }];
    const value = goal.against ? median(ratios(row, goal.against, goal)) : medianOf(figure);
    const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = goal;
    return [{ goal, value, met: figure.errors === 0 && value >= atLeast && value <= atMost }];
  });
}

const ratios = (row: Row, against: ServerName, { perCpu }: Goal): number[] =>
  perCpu ? judgeable(row, against, true).ratios : ratiosOf(row, against);

/** A floor alone is only for the check. */
const isWanted = ({ atLeast, atMost, noErrors }: Goal): boolean =>
  atLeast !== undefined || atMost !== undefined || noErrors === true;

/** Typical distance of a round from the median. One disturbed round counts no more than any other. */
export const noiseOf = (ratios: readonly number[]): number => {
  const middle = median(ratios);
  return ratios.length < 2 ? 0 : median(ratios.map((ratio) => Math.abs(ratio - middle)));
};

/** Whether a ratio is below its floor by more than the rounds differ from each other. */
export const hasFallen = (ratios: readonly number[], floor: number): boolean =>
  median(ratios) + noiseOf(ratios) < floor;

/** `≥ 1.3 × PeerJS` */
export function goalText(
  { against, atLeast, atMost, noErrors, perCpu }: Goal,
  unit: string,
): string {
  if (noErrors) return 'no errors';
  const bound = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
  if (!against) return `${bound} ${unit}`;
  return `${bound} × ${against}${perCpu ? ', by CPU time' : ''}`;
}
