// Writes the generated parts, between markers, of docs/performance.md and of the cluster size.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { ROOT } from '../conductor/specs.js';
import { medianOf, type ServerName, spreadOf } from '../figures/row.js';
import { goalText, judge } from '../goals.js';
import { MESSAGE_BYTES } from '../load/dialects.js';
import type { ScenarioName } from '../scenarios/all.js';
import { percent, shown } from './numbers.js';
import type { Results, ScenarioResult } from './results.js';

const SERVER_TITLES: Record<ServerName, string> = {
  couplet: 'Couplet',
  peerjs: 'PeerJS',
  corked: 'ws, corked',
  bare: 'ws',
  fastify: 'Fastify, no-op',
};

const TITLES: Record<ScenarioName, string> = {
  start: 'Start',
  forward: 'Forwarding',
  pairing: 'Pairing',
  wait: 'Held checks',
  mixed: 'Forwarding while others pair',
  'slow-disk': 'Slow disks',
  storm: 'All clients at once',
  idle: 'Idle connections',
  scale: 'Cost of a message as rooms grow',
  abuse: 'One address that floods',
  cluster: 'Several nodes',
};

/** Writes the generated parts of the documents. */
export function writePaper(docs: string, results: Results): void {
  replaceIn(
    join(docs, 'performance.md'),
    'goals',
    [goalsTable(results), ...origins(results)].join('\n\n'),
  );
  const { measured, part } = clusterSizePart(results);
  replaceIn(join(docs, 'cluster.md'), 'size', part);
  const data = JSON.stringify(measured, null, 1);
  const script = `<script type="application/json" id="measured">\n${data}\n</script>`;
  replaceIn(join(docs, 'cluster-size.html'), 'measured', script);
}

function replaceIn(path: string, name: string, content: string): void {
  writeFileSync(path, replacePart(readFileSync(path, 'utf8'), name, content));
}

type Table = readonly (readonly (string | number)[])[];
type ClusterSize = {
  INPUTS: Record<string, [value: number, text: string]>;
  clusterSize: (load: Record<string, number>, measured: (id: string) => number) => Table[];
};

/** The program of docs/cluster-size.html. */
export function clusterSizeProgram(): ClusterSize {
  const program = {} as ClusterSize;
  runInNewContext(readFileSync(`${ROOT}docs/cluster-size.js`, 'utf8'), program);
  return program;
}

/** The size of a cluster with the default inputs, and the figures that it was calculated from. */
function clusterSizePart(results: Results): { measured: Record<string, number>; part: string } {
  const { INPUTS, clusterSize } = clusterSizeProgram();
  const figures = new Map(
    Object.values(results).flatMap(({ rows }) =>
      rows.map(({ id, figures: { couplet } }) => [id, couplet && medianOf(couplet)] as const),
    ),
  );
  for (const [kind, bytes] of Object.entries(MESSAGE_BYTES)) figures.set(`bytes/${kind}`, bytes);
  const measured: Record<string, number> = {};
  const load = Object.fromEntries(Object.entries(INPUTS).map(([name, [value]]) => [name, value]));
  const tables = clusterSize(load, (id) => {
    const value = figures.get(id);
    if (value === undefined) throw new Error(`not measured: ${id}`);
    measured[id] = value;
    return value;
  });
  const inputs = Object.values(INPUTS).map(([value, text]) => [
    text,
    value.toLocaleString('en-US'),
  ]);
  return {
    measured,
    part: [[['input', 'value'], ...inputs], ...tables].map(markdownOf).join('\n\n'),
  };
}

function markdownOf([head = [], ...rows]: Table): string {
  const line = (cells: Table[number]) =>
    `| ${cells.map((cell) => (typeof cell === 'number' ? shown(cell) : cell)).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

export function goalsTable(results: Results): string {
  const rows = Object.values(results).flatMap((result) => result?.rows ?? []);
  const lines = judge(rows).map(({ goal, value, met }) => {
    const { label = '', unit = '', figures = {} } = rows.find(({ id }) => id === goal.row) ?? {};
    const figure = (name: ServerName | undefined) => {
      const found = name && figures[name];
      return found ? `${shown(medianOf(found))} ±${percent(spreadOf(found) / 2)}` : '';
    };
    const other = goal.against ? `${SERVER_TITLES[goal.against]}: ${figure(goal.against)}` : '';
    const verdict = met ? 'yes' : '**no**';
    return [label, `${figure('couplet')} ${unit}`, other, goalText(goal, unit), value, verdict];
  });
  const notes = rows.flatMap(({ note }) => (note === undefined ? [] : [`\n${note}.`]));
  const table = markdownOf([['', 'Couplet', 'compared', 'goal', 'measured', 'met'], ...lines]);
  return [table, ...new Set(notes)].join('\n');
}

/** Where and when the scenarios were measured. */
function origins(results: Results): string[] {
  const byOrigin = new Map<string, string[]>();
  for (const [name, result] of Object.entries(results) as [ScenarioName, ScenarioResult][]) {
    const origin = originOf(result);
    byOrigin.set(origin, [...(byOrigin.get(origin) ?? []), TITLES[name]]);
  }
  return [...byOrigin].map(([origin, titles]) => `${titles.join(', ')}: ${origin}`);
}

function originOf({ measuredAt, command, machine }: ScenarioResult): string {
  const { cpu, cores, memoryGb, system, load, pinned, fsyncMs, versions, commit } = machine;
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return (
    `measured ${measuredAt.slice(0, 10)} at ${commit} by \`${command}\`; ${cpu}, ${cores} cores, ${memoryGb} GiB, ${system}; ` +
    `${pinned ? 'server and load on a core each' : 'server and load share the cores'}; ` +
    `${load === undefined ? '' : `load average before ${load.toFixed(1)}; `}` +
    `a durable write takes ${fsyncMs.toFixed(2)} ms; ${list.join(', ')}.`
  );
}

/** Replaces the text between the markers of that name. */
export function replacePart(paper: string, name: string, content: string): string {
  const start = `<!-- generated by npm run bench: ${name} -->\n`;
  const from = paper.indexOf(start);
  const to = paper.indexOf('<!-- end -->', from);
  if (from < 0 || to < 0) throw new Error(`no place for ${name}`);
  return `${paper.slice(0, from + start.length)}\n${content}\n\n${paper.slice(to)}`;
}
