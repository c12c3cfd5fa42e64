// What a pending, a room, an idempotency record and a room with live members take in Redis, by difference of used_memory; and a connection at a node.
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningCluster, startCluster } from '../conductor/cluster.js';
import type { Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { residentBytes } from '../figures/process-usage.js';
import { figureOf, type Row } from '../figures/row.js';
import { forEach, pairingSteps } from './cluster-pairings.js';

const PAIRINGS = 5000;
const ROOMS = 4000;
/** Until what was given back is. */
const SETTLE_MS = 1000;

export async function clusterMemory(scale: Scale): Promise<Row[]> {
  const cluster = await startCluster(2, scale.workFolder);
  try {
    const rows = await ofPairing(cluster, scale.short ? 100 : PAIRINGS);
    return [...rows, ...(await ofRooms(cluster, scale.short ? 100 : ROOMS))];
  } finally {
    await cluster.stop();
  }
}

const usedMemory = async ({ redis }: RunningCluster): Promise<number> =>
  Number((await redis.info()).get('used_memory'));

async function ofPairing(cluster: RunningCluster, count: number): Promise<Row[]> {
  const { create, check, accept } = pairingSteps(cluster);
  // What is loaded once, such as scripts, is there before.
  await create(999_999);
  await accept(999_999);
  await check(999_999, 200);
  const empty = await usedMemory(cluster);
  await forEach(count, (n) => create(n));
  const waiting = await usedMemory(cluster);
  await forEach(count, accept);
  const accepted = await usedMemory(cluster);
  await forEach(count, (n) => check(n, 200));
  const collected = await usedMemory(cluster);
  await forEach(count, (n) => create(count + n, { 'idempotency-key': `key-${n}-of-a-client` }));
  const recorded = await usedMemory(cluster);
  const bytes = (from: number, to: number) => (to - from) / count;
  return [
    row('pending', 'a pending that waits', bytes(empty, waiting)),
    row('accepted', 'a pending that was accepted, with its room', bytes(empty, accepted)),
    row('room', 'a room that was collected', bytes(empty, collected)),
    row('record', 'an idempotency record', bytes(collected, recorded) - bytes(empty, waiting)),
  ];
}

async function ofRooms(cluster: RunningCluster, rooms: number): Promise<Row[]> {
  const generator = await Generator.prepare({
    ...cluster.under({ apart: true }),
    kind: 'crowd',
    dialect: 'couplet',
    connections: rooms * 2,
    join: true,
    atOnce: 64,
  });
  const resident = () =>
    cluster.nodes.reduce((sum, { pid }) => sum + (residentBytes(pid) ?? Number.NaN), 0);
  try {
    const [redisBefore, nodesBefore] = [await usedMemory(cluster), resident()];
    const { values } = await generator.measure(0);
    await sleep(SETTLE_MS);
    const live = ((await usedMemory(cluster)) - redisBefore) / rooms;
    const connection = (resident() - nodesBefore) / (rooms * 2);
    return [
      row('live', 'a room with live members, at two nodes', live),
      row('connection', 'a connection in a room, at its node', connection, 'memory'),
      cost('serverMicroseconds', 'all nodes', values),
      cost('redisMicroseconds', 'Redis', values),
    ];
  } finally {
    await generator.stop();
  }
}

const row = (id: string, label: string, value: number, what = 'memory in Redis'): Row => ({
  id: `cluster/memory/${id}`,
  label: `${label}: ${what}`,
  unit: 'bytes',
  better: 'less',
  figures: { couplet: single(value) },
});

const cost = (id: string, who: string, values: Record<string, number>): Row => ({
  id: `cluster/enter/${id}`,
  label: `a client that connects and joins, its peer at the other node: CPU time of ${who}`,
  unit: 'µs',
  better: 'less',
  figures: { couplet: single(values[id] ?? Number.NaN) },
});

/** A figure of one round. */
export const single = (value: number) =>
  figureOf([{ value, loadCpu: null, serverCpu: null, crowded: null, errors: 0 }]);
