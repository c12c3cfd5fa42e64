// Measures the memory of a pending, a paired room and an idempotency record in Redis, by differences of used_memory.
import { startCluster } from '../conductor/cluster.js';
import type { Scale } from '../conductor/contest.js';
import type { Row } from '../figures/row.js';
import { forEach, pairingSteps } from './cluster-pairings.js';
import { countRow } from './cluster-rows.js';

const PAIRINGS = 5000;

/**
 * Redis stores a small index in a compact form. With this limit, the index of a bucket has the same form here as with
 * millions of entries, and the lists of one device stay compact, as they do then.
 */
const SETTINGS = { redis: { 'zset-max-listpack-entries': '8' } };

export async function clusterMemory(scale: Scale): Promise<Row[]> {
  const count = scale.short ? 100 : PAIRINGS;
  const cluster = await startCluster(2, scale.workFolder, SETTINGS);
  try {
    const { create, check, accept } = pairingSteps(cluster);
    const usedMemory = async () => Number((await cluster.redis.info('memory')).get('used_memory'));
    // Data that is loaded once, such as scripts, is there before.
    await create(999_999);
    await accept(999_999);
    await check(999_999, 200);
    const empty = await usedMemory();
    await forEach(count, (n) => create(n));
    const waiting = await usedMemory();
    await forEach(count, accept);
    const accepted = await usedMemory();
    await forEach(count, (n) => check(n, 200));
    const collected = await usedMemory();
    await forEach(count, (n) => create(count + n, { 'idempotency-key': `key-${n}-of-a-client` }));
    const recorded = await usedMemory();
    const bytes = (from: number, to: number) => (to - from) / count;
    return [
      row('pending', 'a pending that waits', bytes(empty, waiting)),
      row('accepted', 'a pending that was accepted, with its room', bytes(empty, accepted)),
      row('room', 'a room that was collected', bytes(empty, collected)),
      row('record', 'an idempotency record', bytes(collected, recorded) - bytes(empty, waiting)),
    ];
  } finally {
    await cluster.stop();
  }
}

const row = (id: string, label: string, value: number): Row =>
  countRow(`memory/${id}`, `${label}: memory in Redis`, 'bytes', value);
