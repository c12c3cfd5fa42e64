// The scenarios by name, in the order in which they run.
import type { Scale } from '../conductor/contest.js';
import type { Row } from '../figures/row.js';
import { abuse } from './abuse.js';
import { cluster } from './cluster.js';
import { forward } from './forward.js';
import { idle } from './idle.js';
import { mixed } from './mixed.js';
import { pairing } from './pairing.js';
import { scale } from './scale.js';
import { slowDisk } from './slow-disk.js';
import { start } from './start.js';
import { storm } from './storm.js';
import { wait } from './wait.js';

export const SCENARIOS = {
  start,
  forward,
  pairing,
  wait,
  mixed,
  'slow-disk': slowDisk,
  storm,
  idle,
  scale,
  abuse,
  cluster,
} satisfies Record<string, (scale: Scale) => Promise<Row[]>>;

export type ScenarioName = keyof typeof SCENARIOS;

export const SCENARIO_NAMES = Object.keys(SCENARIOS) as ScenarioName[];

/** Scenarios that run only by name, because they take too long for a full run. */
export const BY_NAME_ONLY: readonly ScenarioName[] = ['abuse', 'cluster'];
