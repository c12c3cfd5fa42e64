// Thousands of checks held by `Prefer: wait`: their cost at rest, and the time from an accept to their answer.
import {
  type Contender,
  contest,
  type Measurements,
  rowOf,
  type Scale,
} from '../conductor/contest.js';
import { SPECS } from '../conductor/specs.js';
import type { Row, ServerName } from '../figures/row.js';
import { noOp } from './pairing.js';

/** Concurrent accepts, in the rows with many. */
const HANDS = 32;

export async function wait(scale: Scale): Promise<Row[]> {
  const checks = scale.short ? 200 : 10_000;
  const some = {
    ...scale,
    rounds: Math.min(scale.rounds, 2),
    seconds: scale.short ? 0.3 : 2,
  };
  const lone = await contest([held(checks), noOp(1)], some);
  const crowd: Measurements = new Map([
    ...pick(lone, 'couplet'),
    ...(await contest([noOp(HANDS)], some)),
  ]);
  const ours: Measurements = new Map(pick(lone, 'couplet'));
  const label = `${checks} held checks`;
  /** The no-op route has no accept that answers another request, so its own time to answer is shown. */
  const latency = (measurements: Measurements, id: string, what: string, besides: string): Row =>
    rowOf(
      { id: `wait/${id}`, label: `${label}: ${what}`, unit: 'ms', better: 'less' },
      measurements,
      (values) => values[id] ?? values[besides] ?? Number.NaN,
    );
  const cpu = (id: string, what: string, value: (values: Record<string, number>) => number): Row =>
    rowOf(
      { id: `wait/${id}`, label: `${label}: ${what}`, unit: 'ms/s', better: 'less' },
      ours,
      value,
    );
  return [
    latency(lone, 'loneP50', 'accept to answer, one at a time, median', 'requestP50'),
    latency(lone, 'loneP99', 'accept to answer, one at a time, p99', 'requestP99'),
    latency(crowd, 'crowdP50', 'accept to answer, 32 at a time, median', 'requestP50'),
    latency(crowd, 'crowdP99', 'accept to answer, 32 at a time, p99', 'requestP99'),
    cpu('heldCpu', 'CPU of the server at rest', ({ heldCpu = Number.NaN }) => heldCpu),
    cpu(
      'heldCpuMore',
      'CPU at rest, beyond that of as many idle connections',
      ({ heldCpu = Number.NaN, idleCpu = Number.NaN }) => heldCpu - idleCpu,
    ),
  ];
}

const pick = (measurements: Measurements, name: ServerName): Measurements =>
  new Map([[name, measurements.get(name) ?? []]]);

const held = (checks: number): Contender => ({
  name: 'couplet',
  spec: SPECS.couplet,
  job: ({ port, pid }) => ({ kind: 'wait', checks, port, pid }),
});
