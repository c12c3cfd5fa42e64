// What a pairing, a join and a leave ask of Redis, counted by MONITOR; and their bytes on the way to Redis and back.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningCluster } from '../conductor/cluster.js';
import type { Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import type { Commands } from '../conductor/redis.js';
import type { Row } from '../figures/row.js';
import { single } from './cluster-memory.js';
import { pairOnce } from './cluster-pairings.js';

/** Until the nodes have told Redis of those that left. */
const LEAVE_MS = 1500;
/** Codes that no load has used. */
const FIRST_CODE = 900_000;

export async function clusterCounts(cluster: RunningCluster, { short }: Scale): Promise<Row[]> {
  const count = short ? 10 : 100;
  const { redis } = cluster;
  let code = FIRST_CODE;
  const pairings = (held: boolean) => async () => {
    for (let n = 0; n < count; n++) await pairOnce(cluster, code++, held);
  };
  const plain = await redis.commandsDuring(pairings(false));
  const held = await redis.commandsDuring(pairings(true));
  const before = await netBytes(cluster);
  await pairings(true)();
  const after = await netBytes(cluster);

  const generator = await Generator.prepare({
    ...cluster.under({ apart: true }),
    kind: 'crowd',
    dialect: 'couplet',
    connections: count * 2,
    join: true,
    // One is in once its peer is: a pair at a time.
    atOnce: 2,
  });
  const joins = await redis.commandsDuring(async () => {
    await generator.measure(0);
  });
  const leaves = await redis.commandsDuring(async () => {
    await generator.stop();
    await sleep(LEAVE_MS);
  });
  return [
    ...rowsOf('pairing', 'a pairing of 4 requests', plain, count),
    ...rowsOf('held', 'a pairing of 3 requests, one a held check', held, count),
    ...rowsOf('join', 'a join', joins, count * 2),
    ...rowsOf('leave', 'a connection that ends', leaves, count * 2),
    row(
      'held/bytesIn',
      'a pairing, one check held: to Redis',
      'bytes',
      (after[0] - before[0]) / count,
    ),
    row(
      'held/bytesOut',
      'a pairing, one check held: from Redis',
      'bytes',
      (after[1] - before[1]) / count,
    ),
  ];
}

/** Bytes that Redis has received and sent. */
export async function netBytes({ redis }: RunningCluster): Promise<[number, number]> {
  const info = await redis.info();
  return [Number(info.get('total_net_input_bytes')), Number(info.get('total_net_output_bytes'))];
}

function rowsOf(id: string, label: string, commands: Commands, count: number): Row[] {
  const total = (counts: Map<string, number>) =>
    [...counts.values()].reduce((sum, value) => sum + value, 0) / count;
  return [
    row(
      `${id}/sent`,
      `${label}: commands sent to Redis (${listOf(commands.sent, count)})`,
      'commands',
      total(commands.sent),
    ),
    row(
      `${id}/inScripts`,
      `${label}: commands within its scripts`,
      'commands',
      total(commands.inScripts),
    ),
  ];
}

/** `evalsha 6.0, spublish 1.0`: what is not rare. */
const listOf = (counts: Map<string, number>, count: number): string =>
  [...counts]
    .filter(([, value]) => value / count >= 0.1)
    .sort(([, a], [, b]) => b - a)
    .map(([name, value]) => `${name} ${(value / count).toFixed(1)}`)
    .join(', ');

const row = (id: string, label: string, unit: string, value: number): Row => ({
  id: `cluster/${id}`,
  label,
  unit,
  better: 'less',
  figures: { couplet: single(value) },
});
