// Several nodes over one Redis: messages within a node and between nodes, the room hint, pairing, and the work of Redis.
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningCluster, startCluster } from '../conductor/cluster.js';
import type { Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { programVersion } from '../conductor/machine.js';
import type { Row } from '../figures/row.js';
import type { Job, Measurement, Place } from '../load/job.js';
import { Meter } from '../load/nodes.js';
import { clusterConnections } from './cluster-connections.js';
import { clusterCounts, netBytes } from './cluster-counts.js';
import { clusterMemory } from './cluster-memory.js';
import { CLIENTS, type Findings, type Kind, OPEN_RATE, ratioRows, rowsOf } from './cluster-rows.js';

const NODES = [1, 2, 3];
const PAIRS = 100;
const REST_MS = 1000;
/** Pairings, in rounds and for each node, because nodes that share a core are slow to compile their code. */
const WARM_UP_ROUNDS = 4;

/** One load on one cluster, and the results of its rounds. */
interface Stand extends Findings {
  cluster: RunningCluster;
  generator: Generator;
}

/** No rows if there is no redis-server. */
export async function cluster(scale: Scale): Promise<Row[]> {
  const version = programVersion('redis-server', ['--version'], / v=(\S+)/);
  if (version === null) {
    process.stdout.write('  note: not measured, that takes redis-server\n');
    return [];
  }
  const caddy = programVersion('caddy', ['version'], /^(\S+)/);
  if (caddy === null)
    process.stdout.write('  note: the room hint is not measured, that takes caddy\n');
  const counts = scale.short ? [2] : NODES;
  const clusters: RunningCluster[] = [];
  const stands: Stand[] = [];
  const rows: Row[] = [];
  try {
    for (const nodes of counts) {
      const balanced = caddy !== null && nodes === counts.at(-1);
      const running = await startCluster(nodes, scale.workFolder, { balanced });
      clusters.push(running);
      const apart = nodes === 1 ? 'same' : 'apart';
      for (const place of new Set(['same', apart] as const)) {
        for (const kind of ['closed/1', 'closed/8', 'open'] as const) {
          stands.push(await prepare(running, nodes, place, kind, scale));
        }
      }
      for (const place of balanced ? (['hinted', 'unhinted'] as const) : []) {
        stands.push(await prepare(running, nodes, place, 'open', scale));
      }
      stands.push(await prepare(running, nodes, apart, 'pairing', scale));
    }
    for (let round = 0; round < scale.rounds; round++) {
      for (const stand of stands) stand.rounds.push(await measure(stand, scale.seconds));
    }
    for (const { generator } of stands) await generator.stop();
    rows.push(...stands.flatMap(rowsOf), ...ratioRows(stands));
    rows.push(...(await clusterCounts(clusters[scale.short ? 0 : 1] as RunningCluster, scale)));
  } finally {
    for (const { generator } of stands) await generator.stop();
    for (const running of clusters) await running.stop();
  }
  rows.push(...(await clusterConnections(scale)));
  rows.push(...(await clusterMemory(scale)));
  const [first, ...others] = rows as [Row, ...Row[]];
  const programs = caddy === null ? '' : ` and Caddy ${caddy}`;
  const note = `Redis ${version} with \`appendfsync always\`${programs}; all of them and the nodes share the server's core`;
  return [{ ...first, note }, ...others];
}

async function prepare(
  running: RunningCluster,
  nodes: number,
  place: Place,
  kind: Kind,
  { short, seconds }: Scale,
): Promise<Stand> {
  const generator = await Generator.prepare(jobOf(running, place, kind, short));
  if (kind === 'pairing') await generator.measure(seconds * nodes * WARM_UP_ROUNDS);
  return { cluster: running, nodes, place, kind, generator, rounds: [] };
}

function jobOf(running: RunningCluster, place: Place, kind: Kind, short: boolean): Job {
  const where = running.under(place);
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

async function measure({ cluster, kind, generator }: Stand, seconds: number): Promise<Measurement> {
  const long = kind === 'open' || kind === 'pairing' ? seconds * 2 : seconds;
  const rest = kind === 'open' ? await restOf(cluster) : undefined;
  const before = await workBetween(cluster);
  const measurement = await generator.measure(long);
  const after = await workBetween(cluster);
  const { values } = measurement;
  for (const name of ['serverMicroseconds', 'redisMicroseconds'] as const) {
    values[name] = (values[name] ?? Number.NaN) - (rest?.[name] ?? 0);
  }
  const events = values.sent ?? Number.NaN;
  values.crossings = ((after.crossings - before.crossings) / events) * 100;
  for (const name of ['publications', 'bytesIn', 'bytesOut'] as const) {
    values[name] = (after[name] - before[name]) / events;
  }
  return measurement;
}

/** CPU use of nodes and Redis at rest, for the time of one message at the open loop's rate. */
async function restOf(running: RunningCluster) {
  const meter = new Meter(running.under('same'));
  await sleep(REST_MS);
  return meter.per((REST_MS / 1000) * OPEN_RATE);
}

/** Work between the nodes so far. */
async function workBetween(running: RunningCluster) {
  const sent = await Promise.all(
    running.nodes.map(async ({ port }) => {
      const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
      return Number(/^couplet_node_frames_sent_total (\d+)/m.exec(metrics)?.[1]);
    }),
  );
  const [bytesIn, bytesOut] = await netBytes(running);
  const commands = (await running.redis.info('commandstats')).get('cmdstat_spublish') ?? '';
  return {
    crossings: sent.reduce((sum, count) => sum + count, 0),
    publications: Number(/calls=(\d+)/.exec(commands)?.[1] ?? 0),
    bytesIn,
    bytesOut,
  };
}
