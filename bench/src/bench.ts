// npm run bench: runs scenarios and writes the results. `--short` is a quick trial; `--paper` only rewrites the documents.
import { parseArgs } from 'node:util';
import { CORES } from './conductor/children.js';
import type { Scale } from './conductor/contest.js';
import { pinSelf } from './conductor/cores.js';
import { describeMachine, makeWorkFolder } from './conductor/machine.js';
import { ROOT } from './conductor/specs.js';
import { judge } from './goals.js';
import { writePaper } from './report/paper.js';
import { type Results, readResults, writeResults } from './report/results.js';
import { rowText } from './report/terminal.js';
import { BY_NAME_ONLY, SCENARIO_NAMES, SCENARIOS, type ScenarioName } from './scenarios/all.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    short: { type: 'boolean', default: false },
    paper: { type: 'boolean', default: false },
    out: { type: 'string' },
  },
});
const unknown = positionals.filter((name) => !SCENARIO_NAMES.includes(name as ScenarioName));
if (unknown.length > 0) {
  process.stderr.write(
    `no scenario ${unknown.join(', ')}; there are: ${SCENARIO_NAMES.join(', ')}\n`,
  );
  process.exit(2);
}
const chosen = SCENARIO_NAMES.filter((name) =>
  positionals.length === 0 ? !BY_NAME_ONLY.includes(name) : positionals.includes(name),
);

const folder = `${ROOT}docs/performance`;
if (options.paper) {
  writePaper(`${ROOT}docs`, readResults(folder));
  process.exit(0);
}

if (CORES === null)
  process.stdout.write('note: server and load share the cores: no taskset, or one core only\n');
else pinSelf(CORES);
const workFolder = makeWorkFolder();
const scale: Scale = options.short
  ? { rounds: 1, seconds: 0.2, short: true, workFolder }
  : { rounds: 3, seconds: 0.8, short: false, workFolder };

const machine = describeMachine(workFolder);
const command = ['npm run bench', ...(positionals.length > 0 ? ['--', ...positionals] : [])].join(
  ' ',
);
const measured: Results = {};
for (const name of chosen) {
  process.stdout.write(`\n${name}\n`);
  const startedAt = performance.now();
  const rows = await SCENARIOS[name](scale);
  const judgements = judge(rows);
  for (const row of rows) process.stdout.write(rowText(row, judgements));
  process.stdout.write(`  (${((performance.now() - startedAt) / 1000).toFixed(0)} s)\n`);
  if (rows.length > 0)
    measured[name] = { measuredAt: new Date().toISOString(), command, machine, rows };
}

const judgements = judge(Object.values(measured).flatMap((result) => result?.rows ?? []));
const missed = judgements.filter(({ met }) => !met).length;
process.stdout.write(`\n${judgements.length - missed} goals met, ${missed} not\n`);

// A short run only shows that everything works; its figures mean nothing.
if (options.out !== undefined) writeResults(options.out, measured);
else if (!options.short) {
  const results = { ...readResults(folder), ...measured };
  writeResults(folder, results);
  writePaper(`${ROOT}docs`, results);
}
process.exit(0);
