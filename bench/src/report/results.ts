// docs/performance/results.json: the figures of the last run of each scenario, with the data needed to interpret them.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../conductor/machine.js';
import { medianOf, type Row, type ServerName, spreadOf } from '../figures/row.js';
import type { ScenarioName } from '../scenarios/all.js';

export interface ScenarioResult {
  measuredAt: string;
  command: string;
  machine: Machine;
  rows: Row[];
}

export type Results = Partial<Record<ScenarioName, ScenarioResult>>;

export function readResults(folder: string): Results {
  const path = join(folder, 'results.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : {};
}

/** Writes the results; each figure also has its median and spread, for readers that do not compute them. */
export function writeResults(folder: string, results: Results): void {
  mkdirSync(folder, { recursive: true });
  const withMedians = Object.fromEntries(
    Object.entries(results).map(([name, result]) => [
      name,
      { ...result, rows: result.rows.map(withMedian) },
    ]),
  );
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(withMedians, null, 1)}\n`);
}

function withMedian(row: Row): Row {
  const figures = Object.entries(row.figures).map(([name, figure]) => [
    name as ServerName,
    { ...figure, median: rounded(medianOf(figure)), spread: rounded(spreadOf(figure)) },
  ]);
  return { ...row, figures: Object.fromEntries(figures) };
}

const rounded = (value: number): number => Number(value.toPrecision(4));
