// Several nodes over one Redis: what a message costs within a node and across, pairing at nodes in turn, and what Redis has to do.
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningCluster, startCluster } from '../conductor/cluster.js';
import { type Scale, sampleOf } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { redisVersion } from '../conductor/redis.js';
import { figureOf, type Row } from '../figures/row.js';
import type { Job, Measurement } from '../load/job.js';
import { CpuMeter } from '../load/nodes.js';
import { clusterCounts, netBytes } from './cluster-counts.js';
import { clusterMemory } from './cluster-memory.js';

const NODES = [1, 2, 3];
const PAIRS = 100;
const CLIENTS = 32;
/** Messages per second of the open loop: what nodes and Redis do on one core without getting late. */
const OPEN_RATE = 2000;
const REST_MS = 1000;

type Kind = 'closed/1' | 'closed/8' | 'open' | 'pairing';

/** One load on one cluster, and what its rounds have found. */
interface Stand {
  cluster: RunningCluster;
  nodes: number;
  apart: boolean;
  kind: Kind;
  generator: Generator;
  rounds: Round[];
}

type Round = Measurement & {
  /** Per event: publications in Redis, and bytes to it and from it. */
  redis: { publications: number; bytesIn: number; bytesOut: number };
};

/** No rows where there is no redis-server. */
export async function cluster(scale: Scale): Promise<Row[]> {
  const version = redisVersion();
  if (version === null) {
    process.stdout.write('  note: not measured, that takes redis-server\n');
    return [];
  }
  const clusters: RunningCluster[] = [];
  const stands: Stand[] = [];
  const rows: Row[] = [];
  try {
    for (const nodes of scale.short ? [2] : NODES) {
      const running = await startCluster(nodes, scale.workFolder);
      clusters.push(running);
      for (const apart of nodes === 1 ? [false] : [false, true]) {
        for (const kind of ['closed/1', 'closed/8', 'open'] as const) {
          stands.push(await prepare(running, nodes, apart, kind, scale));
        }
      }
      stands.push(await prepare(running, nodes, nodes > 1, 'pairing', scale));
    }
    for (let round = 0; round < scale.rounds; round++) {
      for (const stand of stands) stand.rounds.push(await measure(stand, scale.seconds));
    }
    for (const { generator } of stands) await generator.stop();
    rows.push(...stands.flatMap(rowsOf));
    rows.push(...(await clusterCounts(clusters[scale.short ? 0 : 1] as RunningCluster, scale)));
  } finally {
    for (const { generator } of stands) await generator.stop();
    for (const running of clusters) await running.stop();
  }
  rows.push(...(await clusterMemory(scale)));
  const [first, ...others] = rows as [Row, ...Row[]];
  const note = `Redis ${version} with \`appendfsync always\`; it and all nodes share the server's core`;
  return [{ ...first, note }, ...others];
}

async function prepare(
  running: RunningCluster,
  nodes: number,
  apart: boolean,
  kind: Kind,
  { short }: Scale,
): Promise<Stand> {
  const generator = await Generator.prepare(jobOf(running, apart, kind, short));
  return { cluster: running, nodes, apart, kind, generator, rounds: [] };
}

function jobOf(running: RunningCluster, apart: boolean, kind: Kind, short: boolean): Job {
  const where = running.under({ apart });
  const pairs = short ? 10 : PAIRS;
  const forward = { ...where, dialect: 'couplet', pairs, frame: 'candidate' } as const;
  switch (kind) {
    case 'closed/1':
      return { ...forward, kind: 'forward-closed', inFlight: 1, hop: false };
    case 'closed/8':
      return { ...forward, kind: 'forward-closed', inFlight: 8, hop: false };
    case 'open':
      return { ...forward, kind: 'forward-open', messagesPerSecond: OPEN_RATE };
    case 'pairing':
      return { ...where, kind: 'pairing', flow: 'pairing', clients: CLIENTS, flowsPerSecond: 0 };
    default:
      throw new Error(`unknown load: ${kind satisfies never}`);
  }
}

async function measure(
  { cluster, kind, generator, apart }: Stand,
  seconds: number,
): Promise<Round> {
  const long = kind === 'open' || kind === 'pairing' ? seconds * 2 : seconds;
  const rest = kind === 'open' ? await restOf(cluster) : undefined;
  const [published, before] = [await publications(cluster), await netBytes(cluster)];
  const measurement = await generator.measure(long);
  const [publishedThen, after] = [await publications(cluster), await netBytes(cluster)];
  const { values } = measurement;
  if (rest !== undefined) {
    values.serverMicroseconds = (values.serverMicroseconds ?? Number.NaN) - rest.serverMicroseconds;
    values.redisMicroseconds = (values.redisMicroseconds ?? Number.NaN) - rest.redisMicroseconds;
  }
  const events = values.sent ?? Number.NaN;
  return {
    ...measurement,
    // Forwarding within a node is none of Redis' business.
    errors: measurement.errors + (apart || kind === 'pairing' ? 0 : publishedThen - published),
    redis: {
      publications: (publishedThen - published) / events,
      bytesIn: (after[0] - before[0]) / events,
      bytesOut: (after[1] - before[1]) / events,
    },
  };
}

/** What nodes and Redis use at rest, for as long as a message has at the open loop's rate. */
async function restOf(running: RunningCluster) {
  const cpu = new CpuMeter(running.under({ apart: false }));
  cpu.start();
  await sleep(REST_MS);
  return cpu.per((REST_MS / 1000) * OPEN_RATE);
}

async function publications({ redis }: RunningCluster): Promise<number> {
  const text = (await redis.info()).get('cmdstat_spublish') ?? '';
  return Number(/calls=(\d+)/.exec(text)?.[1] ?? 0);
}

function rowsOf({ nodes, apart, kind, rounds }: Stand): Row[] {
  const row = (
    value: string,
    label: string,
    unit: string,
    read = (round: Round) => round.values[value] ?? Number.NaN,
  ): Row => {
    const place = kind === 'pairing' ? '' : `${apart ? 'apart' : 'same'}/`;
    return {
      id: `cluster/${nodes}/${place}${kind}/${value}`,
      label,
      unit,
      better: unit.endsWith('/s') ? 'more' : 'less',
      figures: { couplet: figureOf(rounds.map((round) => sampleOf(round, read(round)))) },
    };
  };
  const several = nodes === 1 ? '1 node' : `${nodes} nodes`;
  if (kind === 'pairing') {
    const flows = `${several}, ${CLIENTS} clients: `;
    return [
      row('flowsPerSecond', `${flows}pairings of 4 requests`, 'pairings/s'),
      row('serverMicroseconds', `${flows}a pairing, CPU time of all nodes`, 'µs'),
      row('redisMicroseconds', `${flows}a pairing, CPU time of Redis`, 'µs'),
    ];
  }
  const peers = nodes === 1 ? '' : `, peers at ${apart ? 'different nodes' : 'the same node'}`;
  const load = kind === 'open' ? `${OPEN_RATE} messages/s` : `${kind.slice(-1)} in flight`;
  const title = `${several}${peers}, ${load}: `;
  const costs = [
    row('serverMicroseconds', `${title}a message, CPU time of all nodes`, 'µs'),
    ...(apart ? [row('redisMicroseconds', `${title}a message, CPU time of Redis`, 'µs')] : []),
  ];
  if (kind !== 'open')
    return [row('messagesPerSecond', `${title}messages`, 'messages/s'), ...costs];
  const redis = (name: keyof Round['redis']) => (round: Round) => round.redis[name];
  return [
    row('p50', `${title}median`, 'ms'),
    row('p99', `${title}p99`, 'ms'),
    ...costs,
    row(
      'publications',
      `${title}a message, publications in Redis`,
      'commands',
      redis('publications'),
    ),
    ...(apart
      ? [
          row('bytesIn', `${title}a message of 245 B, to Redis`, 'bytes', redis('bytesIn')),
          row('bytesOut', `${title}a message of 245 B, from Redis`, 'bytes', redis('bytesOut')),
        ]
      : []),
  ];
}
