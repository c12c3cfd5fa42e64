// Thousands of checks held by `Prefer: wait`: their cost at rest, and how soon an accept is answered.
import { contest, rowOf, type Scale } from '../conductor/contest.js';
import { SPECS } from '../conductor/specs.js';
import type { Row } from '../figures/row.js';

export async function wait(scale: Scale): Promise<Row[]> {
  const checks = scale.short ? 200 : 10_000;
  const measurements = await contest(
    [
      {
        name: 'couplet',
        spec: SPECS.couplet,
        job: ({ port, pid }) => ({ kind: 'wait', checks, port, pid }),
      },
    ],
    { ...scale, rounds: Math.min(scale.rounds, 2), seconds: scale.short ? 0.3 : 2 },
  );
  const held = `${checks} held checks`;
  const row = (value: string, label: string, unit: string): Row =>
    rowOf(
      { id: `wait/${value}`, label: `${held}: ${label}`, unit, better: 'less' },
      measurements,
      (values) => values[value] ?? Number.NaN,
    );
  return [
    row('loneP50', 'accept to answer, one at a time, median', 'ms'),
    row('loneP99', 'accept to answer, one at a time, p99', 'ms'),
    row('crowdP50', 'accept to answer, 32 at a time, median', 'ms'),
    row('crowdP99', 'accept to answer, 32 at a time, p99', 'ms'),
    row('heldCpu', 'CPU of the server at rest', 'ms/s'),
    rowOf(
      {
        id: 'wait/heldCpuMore',
        label: `${held}: CPU at rest, beyond that of as many idle connections`,
        unit: 'ms/s',
        better: 'less',
      },
      measurements,
      ({ heldCpu = Number.NaN, idleCpu = Number.NaN }) => heldCpu - idleCpu,
    ),
  ];
}
