// Thousands of connections in rooms, the two of each at different nodes: the cost to connect, to stay and to end.
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningCluster, startCluster } from '../conductor/cluster.js';
import type { Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { residentBytes } from '../figures/process-usage.js';
import type { Row } from '../figures/row.js';
import { Meter } from '../load/nodes.js';
import { countRow } from './cluster-rows.js';

const ROOMS = 4000;
/** Short, so that each connection is pinged once during the measurement. */
const HEARTBEAT_SECONDS = 4;
/** Time until released memory has been freed. */
const SETTLE_MS = 1000;
/** Time until the nodes have reported all departures to Redis. */
const LEAVE_SECONDS = 5;

/** Two crowds in sequence, because the first one needs memory for good and CPU time to compile. */
export async function clusterConnections(scale: Scale): Promise<Row[]> {
  const rooms = scale.short ? 100 : ROOMS;
  const cluster = await startCluster(2, scale.workFolder, {
    nodes: { HEARTBEAT_SECONDS: String(HEARTBEAT_SECONDS) },
  });
  try {
    return [...(await memoryRows(cluster, rooms)), ...(await costRows(cluster, rooms))];
  } finally {
    await cluster.stop();
  }
}

const crowdOf = (cluster: RunningCluster, rooms: number): Promise<Generator> =>
  Generator.prepare({
    ...cluster.under('apart'),
    kind: 'crowd',
    dialect: 'couplet',
    connections: rooms * 2,
    join: true,
    atOnce: 64,
  });

async function memoryRows(cluster: RunningCluster, rooms: number): Promise<Row[]> {
  const used = async () => Number((await cluster.redis.info('memory')).get('used_memory'));
  const resident = () =>
    cluster.nodes.reduce((sum, { pid }) => sum + (residentBytes(pid) ?? Number.NaN), 0);
  const generator = await crowdOf(cluster, rooms);
  try {
    const [redisBefore, nodesBefore] = [await used(), resident()];
    const { errors } = await generator.measure(0);
    await sleep(SETTLE_MS);
    const live = ((await used()) - redisBefore) / rooms;
    const connection = (resident() - nodesBefore) / (rooms * 2);
    const bytes = (id: string, label: string, value: number) =>
      countRow(`memory/${id}`, label, 'bytes', value, errors);
    return [
      bytes('live', 'a room with live members: memory in Redis', live),
      bytes('connection', 'a connection in a room: memory of its node', connection),
    ];
  } finally {
    await generator.stop();
    await sleep(LEAVE_SECONDS * 1000);
  }
}

async function costRows(cluster: RunningCluster, rooms: number): Promise<Row[]> {
  const generator = await crowdOf(cluster, rooms);
  try {
    const rest = await spentIn(HEARTBEAT_SECONDS, cluster);
    const { values, errors } = await generator.measure(0);
    await sleep(SETTLE_MS);
    const heartbeat = await spentIn(HEARTBEAT_SECONDS, cluster);
    const end = await spentIn(LEAVE_SECONDS, cluster, () => generator.stop());
    const beyondRest = (spent: Spent, who: keyof Spent, seconds: number) =>
      (spent[who] - (rest[who] / HEARTBEAT_SECONDS) * seconds) / (rooms * 2);
    const titles = { serverMicroseconds: 'all nodes', redisMicroseconds: 'Redis' };
    const cost = (id: string, what: string, who: keyof Spent, value?: number) =>
      countRow(`${id}/${who}`, `${what}: CPU time of ${titles[who]}`, 'µs', value, errors);
    const both = ['serverMicroseconds', 'redisMicroseconds'] as const;
    const enters = 'a client that connects and joins, its peer at the other node';
    return [
      ...both.map((who) => cost('enter', enters, who, values[who])),
      cost(
        'heartbeat',
        'a ping and its answer',
        'serverMicroseconds',
        beyondRest(heartbeat, 'serverMicroseconds', HEARTBEAT_SECONDS),
      ),
      ...both.map((who) =>
        cost('end', 'a connection that ends', who, beyondRest(end, who, LEAVE_SECONDS)),
      ),
    ];
  } finally {
    await generator.stop();
  }
}

type Spent = Pick<ReturnType<Meter['per']>, 'serverMicroseconds' | 'redisMicroseconds'>;

/** CPU time of all nodes and of Redis in this many seconds, starting with `work`. */
async function spentIn(
  seconds: number,
  cluster: RunningCluster,
  work: () => Promise<void> = async () => {},
): Promise<Spent> {
  const meter = new Meter(cluster.under('apart'));
  await work();
  await sleep(seconds * 1000);
  return meter.per(1);
}
