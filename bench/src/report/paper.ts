// Writes the generated parts, between markers, of docs/performance.md and of the cluster size.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { ROOT } from '../conductor/specs.js';
import { medianOf, medianShare, type Row, type ServerName, spreadOf } from '../figures/row.js';
import { goalText, judge } from '../goals.js';
import { MESSAGE_BYTES } from '../load/dialects.js';
import type { ScenarioName } from '../scenarios/all.js';
import { barChart, SERVER_TITLES } from './chart.js';
import { percent, shown } from './numbers.js';
import type { Results, ScenarioResult } from './results.js';

const SERVERS = Object.keys(SERVER_TITLES) as ServerName[];

/** Units that get a chart, and the name of its file. */
const PICTURES: Record<string, string> = {
  'messages/s': 'rate',
  'pairings/s': 'pairings',
  'requests/s': 'requests',
  ms: 'latency',
  s: 'seconds',
  kB: 'memory',
  MB: 'memory',
  µs: 'cost',
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

/** Writes the charts of these scenarios, and the generated parts of the documents. */
export function writePaper(docs: string, results: Results): void {
  mkdirSync(join(docs, 'performance'), { recursive: true });
  const path = join(docs, 'performance.md');
  let paper = readFileSync(path, 'utf8');
  for (const [name, result] of Object.entries(results) as [ScenarioName, ScenarioResult][]) {
    const pictures = picturesOf(name, result.rows);
    for (const { file, content } of pictures) {
      writeFileSync(join(docs, 'performance', file), content);
    }
    const images = pictures.map(({ title, file }) => `![${title}](performance/${file})`);
    paper = replacePart(
      paper,
      name,
      [...images, tableOf(result.rows), origin(result)].join('\n\n'),
    );
  }
  paper = replacePart(paper, 'goals', goalsTable(results));
  writeFileSync(path, paper);
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

export function picturesOf(name: ScenarioName, rows: readonly Row[]) {
  const units = [...new Set(rows.map(({ unit }) => unit))].filter((unit) => unit in PICTURES);
  return units.map((unit) => {
    const title = TITLES[name];
    const of = rows.filter((row) => row.unit === unit);
    return { title, file: `${name}-${PICTURES[unit]}.svg`, content: barChart(title, of) };
  });
}

export function tableOf(rows: readonly Row[]): string {
  const servers = SERVERS.filter((name) => rows.some(({ figures }) => name in figures));
  const head = [
    '',
    'unit',
    ...servers.map((name) => SERVER_TITLES[name]),
    'CPU of server, load',
    'errors',
  ];
  const body = rows.map(({ label, unit, figures }) => {
    const ours = figures.couplet;
    const cells = servers.map((name) => {
      const figure = figures[name];
      return figure ? `${shown(medianOf(figure))} ±${percent(spreadOf(figure) / 2)}` : '';
    });
    const [server, load] = [ours?.serverCpu ?? [], ours?.loadCpu ?? []].map(medianShare);
    const cpu = load === null ? '' : `${percent(server)}, ${percent(load)}`;
    return [label, unit, ...cells, cpu, String(ours?.errors ?? '')];
  });
  const notes = rows.flatMap(({ note }) => (note === undefined ? [] : [`\n${note}.`]));
  return [markdownOf([head, ...body]), ...new Set(notes)].join('\n');
}

function goalsTable(results: Results): string {
  const rows = Object.values(results).flatMap((result) => result?.rows ?? []);
  const lines = judge(rows).map(({ goal, value, met }) => {
    const row = rows.find(({ id }) => id === goal.row);
    return [row?.label ?? '', goalText(goal, row?.unit ?? ''), value, met ? 'yes' : '**no**'];
  });
  return markdownOf([['', 'goal', 'measured', 'met'], ...lines]);
}

function origin({ measuredAt, command, machine }: ScenarioResult): string {
  const { cpu, cores, memoryGb, system, pinned, fsyncMs, versions, commit } = machine;
  const list = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return (
    `Measured ${measuredAt.slice(0, 10)} at ${commit} by \`${command}\`: ${cpu}, ${cores} cores, ${memoryGb} GiB, ${system}; ` +
    `${pinned ? 'server and load on a core each' : 'server and load share the cores'}; ` +
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
