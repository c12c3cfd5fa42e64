// Thousands of checks held by `Prefer: wait`: their cost at rest, and the time from an accept to their answer.
import { type Contender, contest, rowOf, type Scale } from '../conductor/contest.js';
import { SPECS } from '../conductor/specs.js';
import type { Row } from '../figures/row.js';
import { noOp } from './pairing.js';

/** Concurrent accepts, in the rows with many. */
const HANDS = 32;

export async function wait(scale: Scale): Promise<Row[]> {
  const checks = scale.short ? 200 : 10_000;
  const held: Contender = { spec: SPECS.couplet, job: (at) => ({ ...at, kind: 'wait', checks }) };
  // The no-op route has no accept that answers another request, so its own time to answer is shown.
  const { couplet, one, many } = await contest(
    { couplet: held, one: noOp(1), many: noOp(HANDS) },
    { ...scale, rounds: Math.min(scale.rounds, 2), seconds: scale.short ? 0.3 : 2 },
  );
  const row = (id: string, what: string, unit: string): Omit<Row, 'figures'> => ({
    id: `wait/${id}`,
    label: `${checks} held checks: ${what}`,
    unit,
    better: 'less',
  });
  const latency = (id: string, what: string, fastify: typeof one, besides: string) =>
    rowOf(
      row(id, `accept to answer, ${what}`, 'ms'),
      { couplet, fastify },
      ({ values }) => values[id] ?? values[besides] ?? Number.NaN,
    );
  return [
    latency('loneP50', 'one at a time, median', one, 'requestP50'),
    latency('loneP99', 'one at a time, p99', one, 'requestP99'),
    latency('crowdP50', '32 at a time, median', many, 'requestP50'),
    latency('crowdP99', '32 at a time, p99', many, 'requestP99'),
    rowOf(row('heldCpu', 'CPU of the server at rest', 'ms/s'), { couplet }, 'heldCpu'),
    rowOf(
      row('heldCpuMore', 'CPU at rest, beyond that of as many idle connections', 'ms/s'),
      { couplet },
      ({ values: { heldCpu = Number.NaN, idleCpu = Number.NaN } }) => heldCpu - idleCpu,
    ),
  ];
}
