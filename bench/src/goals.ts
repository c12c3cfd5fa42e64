// What the figures ought to be, and below what `npm run bench:check` fails: one table, measured on the rows of the scenarios.
import { medianOf, type Row, ratiosOf, type ServerName } from './figures/row.js';
import { median } from './figures/statistics.js';

export interface Goal {
  /** Id of the row. */
  row: string;
  /** Ours as a multiple of another server's figure in the same rounds; without it, our figure itself. */
  against?: ServerName;
  atLeast?: number;
  atMost?: number;
  /** That nothing goes wrong, however fast it is. */
  noErrors?: true;
  /** Ratio below which the check fails; set a little below what was measured, so that only a loss falls through it. */
  floor?: number;
  /** Whether the check judges by work per CPU second, because a slow disk makes requests wait but cost no more. */
  perCpu?: boolean;
}

/** The check compares with bare `ws` alone: PeerJS's server is another program, and takes a busy machine otherwise. */
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
  { row: 'pairing/32/flows', atLeast: 7500 },
  { row: 'pairing/32/flowP99', atMost: 10 },
  { row: 'pairing/128/flows', noErrors: true },
  { row: 'mixed/p99More', atMost: 2 },
  { row: 'storm/first', atMost: 0.6 },
  { row: 'storm/again', atMost: 0.6 },
  { row: 'idle/unjoined', against: 'corked', atMost: 1.15 },
  { row: 'idle/joined', against: 'corked', atMost: 1.15 },
  { row: 'wait/loneP50', atMost: 5 },
  { row: 'wait/crowdP50', atMost: 5 },
  { row: 'wait/heldCpuMore', atMost: 5 },
  { row: 'scale/growth', atMost: 1.15 },
  ...[
    'json',
    'pairs',
    'pipelined',
    'purges',
    'signaling',
    'connections',
    'bodies',
    'sockets',
    'together',
  ].flatMap((mix) => [
    { row: `abuse/${mix}/forward/p99`, atMost: 50 },
    { row: `abuse/${mix}/rest/p99`, atMost: 250 },
  ]),
  { row: 'cluster/message/same/sent', noErrors: true },
  { row: 'start/firstAnswer', atMost: 400 },
  { row: 'start/memory', atMost: 90 },
  // 0.15 to 0.17 measured, 0.24 before requests were budgeted by address, guesses reserved and devices given secrets, and
  // before each client of the benchmark had an address of its own in X-Forwarded-For, which the server has to read.
  { row: 'pairing/32/requests', against: 'fastify', perCpu: true, floor: 0.14 },
];

export interface Judgement {
  goal: Goal;
  value: number;
  met: boolean;
}

/** Judges the rows that goals name; a row with errors meets none. Goals of rows that were not measured are left out. */
export function judge(rows: readonly Row[], goals: readonly Goal[] = GOALS): Judgement[] {
  return goals.flatMap((goal) => {
    if (!isWanted(goal)) return [];
    const row = rows.find(({ id }) => id === goal.row);
    const figure = row?.figures.couplet;
    if (row === undefined || figure === undefined) return [];
    if (goal.noErrors) return [{ goal, value: figure.errors, met: figure.errors === 0 }];
    const value = goal.against ? median(ratiosOf(row, goal.against)) : medianOf(figure);
    const { atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = goal;
    return [{ goal, value, met: figure.errors === 0 && value >= atLeast && value <= atMost }];
  });
}

/** A floor alone is for the check. */
const isWanted = ({ atLeast, atMost, noErrors }: Goal): boolean =>
  atLeast !== undefined || atMost !== undefined || noErrors === true;

/** How far a round typically lies from the median: one that a neighbour disturbed does not count for more than any other. */
export const noiseOf = (ratios: readonly number[]): number => {
  const middle = median(ratios);
  return ratios.length < 2 ? 0 : median(ratios.map((ratio) => Math.abs(ratio - middle)));
};

/** Whether a ratio has fallen below its floor by more than the rounds differ from each other. */
export const hasFallen = (ratios: readonly number[], floor: number): boolean =>
  median(ratios) + noiseOf(ratios) < floor;

/** `≥ 1.3 × PeerJS` */
export function goalText({ against, atLeast, atMost, noErrors }: Goal, unit: string): string {
  if (noErrors) return 'no errors';
  const bound = atLeast === undefined ? `≤ ${atMost}` : `≥ ${atLeast}`;
  return against ? `${bound} × ${against}` : `${bound} ${unit}`;
}
