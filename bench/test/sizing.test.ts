// The calculation of a cluster's size (docs/cluster-size.html), with costs that are easy to check by hand.
import { expect, test } from 'vitest';
import { clusterSizeProgram } from '../src/report/paper.js';

const { clusterSize } = clusterSizeProgram();

const LOAD = {
  connections: 100_000,
  pairingsPerSecond: 1000,
  descriptionsPerPairing: 2,
  candidatesPerPairing: 8,
  hintedShare: 0,
  secondsToAccept: 10,
  recordsPerPairing: 2,
  roomDays: 1,
  heartbeatSeconds: 20,
  share: 0.5,
  connectionsPerNode: 50_000,
  nodeGb: 1,
  masterGb: 10,
};

/** In microseconds, commands and bytes. Figures that are not here are zero. */
const MEASURED: Record<string, number> = {
  'cluster/3/pairing/serverMicroseconds': 1000,
  'cluster/3/pairing/redisMicroseconds': 200,
  'cluster/enter/serverMicroseconds': 300,
  'cluster/enter/redisMicroseconds': 60,
  'cluster/end/serverMicroseconds': 100,
  'cluster/end/redisMicroseconds': 40,
  'cluster/heartbeat/serverMicroseconds': 10,
  'cluster/3/same/open/serverMicroseconds': 20,
  'cluster/3/apart/open/serverMicroseconds': 100,
  'cluster/3/apart/open/redisMicroseconds': 30,
  'cluster/3/apart/open/bytesIn': 500,
  'cluster/message/apart/sent': 1,
  // A description costs twice the CPU time of a candidate.
  'forward/100/candidate/1': 2,
  'forward/100/offer/1': 1,
  'bytes/candidate': 250,
  'bytes/offer': 2250,
  'start/memory': 100,
  'idle/joined': 10,
  'cluster/memory/pending': 1000,
  'cluster/memory/room': 1000,
  'cluster/memory/record': 500,
  'cluster/memory/live': 800,
};

/** The row of a table with this name, as numbers. */
function row(name: string, changes: Partial<typeof LOAD> = {}): number[] {
  const tables = clusterSize({ ...LOAD, ...changes }, (id) => MEASURED[id] ?? 0);
  const [, ...cells] = tables.flat().find(([first]) => first === name) ?? [];
  return cells.map(Number);
}

test('the lifetime of a connection follows from the rate and the number of connections', () => {
  // 2000 connect per second.
  expect(row('a connection lasts')).toEqual([50]);
});

test('messages stay within a node by the room hint, or with a chance of one in the number of nodes', () => {
  const [nodes = 0] = row('nodes');
  expect(row('candidates within a node')[0]).toBeCloseTo(8000 / nodes);
  expect(row('candidates between nodes')[0]).toBeCloseTo(8000 * (1 - 1 / nodes));
  const [hinted = 0] = row('nodes', { hintedShare: 0.75 });
  const between = row('candidates between nodes', { hintedShare: 0.75 })[0];
  expect(between).toBeCloseTo(8000 * 0.25 * (1 - 1 / hinted));
});

test('the number of nodes follows from CPU, including the messages that cross nodes', () => {
  // Cores: pairings 1, visits 0.8, pings 0.05; messages as 12,000 candidates, of which five of six cross.
  const cores = 1.85 + (12_000 * (20 / 6 + (100 * 5) / 6)) / 1e6;
  expect(row('together')[1]).toBeCloseTo(cores, 1);
  expect(row('nodes')).toEqual([6, 6, 3, 2]);
});

test('a description needs more CPU than a candidate, and its bytes wherever it passes', () => {
  const [events = 0, cores = 0, , , toRedis = 0] = row('descriptions between nodes');
  expect((cores * 1e6) / events).toBeCloseTo(200);
  expect((toRedis * 1e6) / events).toBeCloseTo(2500);
  expect(row('descriptions within a node')[4]).toBe(0);
});

test('the number of nodes follows from memory or connections if that is more', () => {
  // Half a gigabyte, without the memory of an idle node, holds 40,000.
  expect(row('nodes', { pairingsPerSecond: 1 })).toEqual([3, 1, 3, 2]);
  expect(row('a node', { pairingsPerSecond: 1 })[1]).toBeCloseTo((1e8 + 1e9 / 3) / 1e9);
  const small = { pairingsPerSecond: 1, connectionsPerNode: 10_000 };
  expect(row('nodes', small)[0]).toBe(10);
});

test('Redis keeps codes, rooms and records for their lifetime, those of pairing on one master', () => {
  expect(row('codes that wait')).toEqual([10_000, 1000, 0.01]);
  expect(row('paired rooms')[2]).toBeCloseTo(86.4);
  expect(row('idempotency records')[2]).toBeCloseTo(0.6);
  expect(row('rooms with live members, and just left')[0]).toBe(50_000 + 1000 * 120);
  const [cores, inUse, memory] = row('the master of Redis that has all of pairing');
  expect([cores, inUse, memory]).toEqual([0.2, expect.closeTo(87.01), expect.closeTo(174.02)]);
  // CPU: 0.2 for visits, 0.3 for messages, in halves; memory in halves of 10 GB.
  expect(row('other masters of Redis').slice(0, 3)).toEqual([1, 1, 1]);
  expect(row('other masters of Redis', { connections: 20_000_000 })[2]).toBe(2);
});
