// Counts the Redis commands (by MONITOR) and bytes of a message, a pairing, a join and a leave.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RunningCluster } from '../conductor/cluster.js';
import type { Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import type { Commands } from '../conductor/redis.js';
import type { Row } from '../figures/row.js';
import { pairOnce } from './cluster-pairings.js';
import { countRow } from './cluster-rows.js';

/** Time until the nodes have reported departures to Redis. */
const LEAVE_MS = 1500;
/** Codes that no load has used. */
const FIRST_CODE = 900_000;
/** Few enough that none shares a publication with another. */
const MESSAGES_PER_SECOND = 100;

export async function clusterCounts(cluster: RunningCluster, scale: Scale): Promise<Row[]> {
  return [
    ...(await ofMessages(cluster, 'same', scale)),
    ...(await ofMessages(cluster, 'apart', scale)),
    ...(await ofPairings(cluster, scale)),
    ...(await ofJoins(cluster, scale)),
  ];
}

async function ofMessages(
  cluster: RunningCluster,
  place: 'same' | 'apart',
  scale: Scale,
): Promise<Row[]> {
  const apart = place === 'apart';
  const generator = await Generator.prepare({
    ...cluster.under(place),
    kind: 'forward-open',
    dialect: 'couplet',
    pairs: 10,
    frame: 'candidate',
    messagesPerSecond: MESSAGES_PER_SECOND,
  });
  try {
    let values: Record<string, number> = {};
    const commands = await cluster.redis.commandsDuring(async () => {
      ({ values } = await generator.measure(scale.seconds * 2));
    });
    const label = `a message between peers at ${apart ? 'different nodes' : 'the same node'}`;
    // Forwarding within a node needs no Redis.
    const errors = apart ? 0 : totalOf(commands);
    return [
      sentRow(`message/${place}`, label, commands, values.sent ?? Number.NaN, errors),
      ...(apart ? clientRows('message', 'a message of 245 B', values) : []),
    ];
  } finally {
    await generator.stop();
  }
}

async function ofPairings(cluster: RunningCluster, { short }: Scale): Promise<Row[]> {
  const count = short ? 10 : 100;
  const { redis } = cluster;
  let code = FIRST_CODE;
  const pairings = (held: boolean) => async () => {
    for (let n = 0; n < count; n++) await pairOnce(cluster, code++, held);
  };
  const plain = await redis.commandsDuring(pairings(false));
  const held = await redis.commandsDuring(pairings(true));
  return [
    sentRow('pairing', 'a pairing of 4 requests', plain, count),
    ...(await byteRows('pairing', 'a pairing of 4 requests', cluster, count, pairings(false))),
    sentRow('held', 'a pairing of 3 requests, one a held check', held, count),
  ];
}

async function ofJoins(cluster: RunningCluster, { short }: Scale): Promise<Row[]> {
  const count = short ? 20 : 200;
  const prepare = () =>
    Generator.prepare({
      ...cluster.under('apart'),
      kind: 'crowd',
      dialect: 'couplet',
      connections: count,
      join: true,
      // A member is in once its peer is, so one pair at a time.
      atOnce: 2,
    });
  const counted = await prepare();
  const enter = async () => {
    await counted.measure(0);
  };
  const leave = async () => {
    await counted.stop();
    await sleep(LEAVE_MS);
  };
  const joins = await cluster.redis.commandsDuring(enter);
  const leaves = await cluster.redis.commandsDuring(leave);
  const weighed = await prepare();
  let values: Record<string, number> = {};
  const visit = async () => {
    ({ values } = await weighed.measure(0));
    await weighed.stop();
    await sleep(LEAVE_MS);
  };
  return [
    sentRow('join', 'a join', joins, count),
    sentRow('leave', 'a connection that ends', leaves, count),
    ...(await byteRows('visit', 'a join and its end', cluster, count, visit)),
    ...clientRows('visit', 'a client that connects and joins', values),
  ];
}

/** Bytes that Redis has received and sent. */
export async function netBytes({ redis }: RunningCluster): Promise<[number, number]> {
  const info = await redis.info('stats');
  return [Number(info.get('total_net_input_bytes')), Number(info.get('total_net_output_bytes'))];
}

async function byteRows(
  id: string,
  label: string,
  cluster: RunningCluster,
  count: number,
  work: () => Promise<void>,
): Promise<Row[]> {
  const before = await netBytes(cluster);
  await work();
  const after = await netBytes(cluster);
  const per = (at: 0 | 1) => (after[at] - before[at]) / count;
  return [
    countRow(`${id}/bytesIn`, `${label}: to Redis`, 'bytes', per(0)),
    countRow(`${id}/bytesOut`, `${label}: from Redis`, 'bytes', per(1)),
  ];
}

/** Bytes between clients and nodes. */
const clientRows = (id: string, label: string, values: Record<string, number>): Row[] => [
  countRow(`${id}/bytesFromClients`, `${label}: from clients`, 'bytes', values.bytesFromClients),
  countRow(`${id}/bytesToClients`, `${label}: to clients`, 'bytes', values.bytesToClients),
];

function sentRow(id: string, label: string, commands: Commands, count: number, errors = 0): Row {
  const list = listOf(commands, count);
  const which = list === '' ? '' : ` (${list})`;
  const value = totalOf(commands) / count;
  return countRow(
    `${id}/sent`,
    `${label}: commands sent to Redis${which}`,
    'commands',
    value,
    errors,
  );
}

const totalOf = (counts: Map<string, number>): number =>
  [...counts.values()].reduce((sum, value) => sum + value, 0);

/** `evalsha 6.0, spublish 1.0`: commands that are not rare. */
const listOf = (counts: Map<string, number>, count: number): string =>
  [...counts]
    .filter(([, value]) => value / count >= 0.1)
    .sort(([, a], [, b]) => b - a)
    .map(([name, value]) => `${name} ${(value / count).toFixed(1)}`)
    .join(', ');
