// npm run bench:check: checks in under a minute that forwarding and pairing have not become slower, by ratios.
import { CORES } from './conductor/children.js';
import type { Scale } from './conductor/contest.js';
import { pinSelf } from './conductor/cores.js';
import { makeMemoryFolder } from './conductor/machine.js';
import { median, type Row } from './figures/row.js';
import { GOALS, type Goal, hasFallen, noiseOf } from './goals.js';
import { judgeable } from './judgeable.js';
import { shown } from './report/numbers.js';
import { rowText } from './report/terminal.js';
import { type ForwardCase, forwardClosed } from './scenarios/forward.js';
import { pairingBy } from './scenarios/pairing.js';

const CASES: readonly ForwardCase[] = [
  { pairs: 100, frame: 'candidate', inFlight: 1 },
  { pairs: 100, frame: 'candidate', inFlight: 8 },
  { pairs: 100, frame: 'offer', inFlight: 1 },
];
const CLIENTS = 32;

/** Factor for floors on a busy machine, where only CPU time can be compared: other processes evict the caches. */
const CROWDED_SHARE = 0.85;

if (CORES !== null) pinSelf(CORES);
const scale: Scale = { rounds: 7, seconds: 0.35, short: false, workFolder: makeMemoryFolder() };

const measurements: (() => Promise<Row | undefined>)[] = [
  ...CASES.map((one) => () => forwardClosed(one, ['couplet', 'corked'], scale)),
  async () => (await pairingBy(CLIENTS, scale)).find(({ unit }) => unit === 'requests/s'),
];

/** A machine that is disturbed for a while must not fail the check, so a measurement is repeated after all others. */
const ATTEMPTS = 3;

let below: { measure: () => Promise<Row | undefined>; faults: string[] }[] = [];
for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
  const again = attempt === 0 ? measurements : below.map(({ measure }) => measure);
  below = [];
  if (attempt > 0 && again.length > 0) process.stdout.write('once more, to be sure\n');
  for (const measure of again) {
    const faults = await judged(measure);
    if (faults.length > 0) below.push({ measure, faults });
  }
}
const faults = below.flatMap((one) => one.faults);
for (const fault of faults) process.stdout.write(`SLOWER THAN ALLOWED: ${fault}\n`);
const verdict = faults.length === 0 ? 'no ratio is below its floor' : 'failed';
process.stdout.write(`bench:check: ${verdict}\n`);
process.exit(faults.length === 0 ? 0 : 1);

/** Measures one row; returns what is wrong with it. */
async function judged(measure: () => Promise<Row | undefined>): Promise<string[]> {
  const row = await measure();
  if (row === undefined) return ['not measured'];
  process.stdout.write(rowText(row, []));
  const errors = row.figures.couplet?.errors ?? 0;
  return [
    ...(errors > 0 ? [`${errors} errors`] : []),
    ...GOALS.filter((goal) => goal.row === row.id).flatMap((goal) => faultsOf(row, goal)),
  ];
}

function faultsOf(row: Row, goal: Goal): string[] {
  const { against, floor, perCpu = false } = goal;
  if (against === undefined || floor === undefined) return [];
  const { ratios, by } = judgeable(row, against, perCpu);
  const bound = by === 'CPU time' && !perCpu ? floor * CROWDED_SHARE : floor;
  const text = `${shown(median(ratios))} ± ${shown(noiseOf(ratios))} × ${against} by ${by}, floor ${shown(bound)}`;
  process.stdout.write(`    ${text}\n`);
  return hasFallen(ratios, bound) ? [text] : [];
}
