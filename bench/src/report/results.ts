// docs/performance/results.json: the figures of the last run of each scenario, with the data needed to interpret them.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Machine } from '../conductor/machine.js';
import type { Row } from '../figures/row.js';
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

export function writeResults(folder: string, results: Results): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results, null, 1)}\n`);
}
