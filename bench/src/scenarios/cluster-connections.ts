// Thousands of connections in rooms, the two of each at different nodes: what it takes to come, to stay and to go.
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningCluster, startCluster } from '../conductor/cluster.js';
import type { Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { residentBytes } from '../figures/process-usage.js';
import { type Row, single } from '../figures/row.js';
import { CpuMeter } from '../load/nodes.js';

const ROOMS = 4000;
/** Short, so that each connection is pinged once while it is measured. */
const HEARTBEAT_SECONDS = 4;
/** Until what was given back is. */
const SETTLE_MS = 1000;
/** Until the nodes have told Redis of all that left. */
const LEAVE_SECONDS = 5;

export async function clusterConnections(scale: Scale): Promise<Row[]> {
  const rooms = scale.short ? 100 : ROOMS;
  const count = rooms * 2;
  const cluster = await startCluster(2, scale.workFolder, {
    nodes: { HEARTBEAT_SECONDS: String(HEARTBEAT_SECONDS) },
  });
  const generator = await Generator.prepare({
    ...cluster.under({ apart: true }),
    kind: 'crowd',
    dialect: 'couplet',
    connections: count,
    join: true,
    atOnce: 64,
  });
  const usedMemory = async () => Number((await cluster.redis.info('memory')).get('used_memory'));
  const resident = () =>
    cluster.nodes.reduce((sum, { pid }) => sum + (residentBytes(pid) ?? Number.NaN), 0);
  try {
    const rest = await spentIn(HEARTBEAT_SECONDS, cluster);
    const [redisBefore, nodesBefore] = [await usedMemory(), resident()];
    const { values, errors } = await generator.measure(0);
    await sleep(SETTLE_MS);
    const live = ((await usedMemory()) - redisBefore) / rooms;
    const connection = (resident() - nodesBefore) / count;
    const heartbeat = await spentIn(HEARTBEAT_SECONDS, cluster);
    const left = await spentIn(LEAVE_SECONDS, cluster, () => generator.stop());
    const beyondRest = (spent: Spent, who: keyof Spent, seconds: number) =>
      (spent[who] - (rest[who] / HEARTBEAT_SECONDS) * seconds) / count;
    const enters = 'a client that connects and joins, its peer at the other node';
    return [
      row('memory/live', 'a room with live members: memory in Redis', 'bytes', live),
      row('memory/connection', 'a connection in a room: memory of its node', 'bytes', connection),
      row(
        'enter/serverMicroseconds',
        `${enters}: CPU time of all nodes`,
        'µs',
        values.serverMicroseconds,
        errors,
      ),
      row(
        'enter/redisMicroseconds',
        `${enters}: CPU time of Redis`,
        'µs',
        values.redisMicroseconds,
        errors,
      ),
      row(
        'heartbeat/serverMicroseconds',
        'a ping and its answer: CPU time of the node',
        'µs',
        beyondRest(heartbeat, 'serverMicroseconds', HEARTBEAT_SECONDS),
      ),
      row(
        'end/serverMicroseconds',
        'a connection that ends: CPU time of all nodes',
        'µs',
        beyondRest(left, 'serverMicroseconds', LEAVE_SECONDS),
      ),
      row(
        'end/redisMicroseconds',
        'a connection that ends: CPU time of Redis',
        'µs',
        beyondRest(left, 'redisMicroseconds', LEAVE_SECONDS),
      ),
    ];
  } finally {
    await generator.stop();
    await cluster.stop();
  }
}

type Spent = ReturnType<CpuMeter['per']>;

/** CPU time of all nodes and of Redis in so many seconds, which begin with `work`. */
async function spentIn(
  seconds: number,
  cluster: RunningCluster,
  work: () => Promise<void> = async () => {},
): Promise<Spent> {
  const cpu = new CpuMeter(cluster.under({ apart: true }));
  cpu.start();
  await work();
  await sleep(seconds * 1000);
  return cpu.per(1);
}

const row = (id: string, label: string, unit: string, value = Number.NaN, errors = 0): Row => ({
  id: `cluster/${id}`,
  label,
  unit,
  better: 'less',
  figures: { couplet: single(value, errors) },
});
