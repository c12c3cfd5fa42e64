// The calculation of a cluster's size, with costs that are easy to check by hand.
import { expect, test } from 'vitest';
import { single } from '../src/figures/row.js';
import { sizingPart } from '../src/report/sizing.js';
import { clusterSize } from '../src/sizing/cluster-size.js';
import { NOTHING, sumOf, times } from '../src/sizing/cost.js';
import { type Costs, costsFrom } from '../src/sizing/costs.js';
import type { ClusterLoad } from '../src/sizing/load.js';

const LOAD: ClusterLoad = {
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

const COSTS: Costs = {
  pairing: { ...NOTHING, nodeMicroseconds: 1000, redisMicroseconds: 200, commands: 20 },
  visit: { ...NOTHING, nodeMicroseconds: 400, redisMicroseconds: 100, commands: 5 },
  heartbeat: { ...NOTHING, nodeMicroseconds: 10 },
  same: { ...NOTHING, nodeMicroseconds: 20, bytesFromClients: 250, bytesToClients: 350 },
  crossing: {
    nodeMicroseconds: 100,
    redisMicroseconds: 30,
    commands: 1,
    bytesToRedis: 500,
    bytesFromRedis: 550,
    bytesFromClients: 250,
    bytesToClients: 350,
  },
  description: { times: 2, moreBytes: 2000 },
  memory: { node: 1e8, connection: 10_000, pending: 1000, room: 1000, record: 500, live: 800 },
};

const flowOf = (load: ClusterLoad, name: string) =>
  clusterSize(load, COSTS).flows.find((flow) => flow.name === name);

test('the lifetime of a connection follows from the rate and the number of connections', () => {
  // 2000 connect per second.
  expect(clusterSize(LOAD, COSTS).sessionSeconds).toBe(50);
});

test('messages stay within a node with a chance of one in the number of nodes', () => {
  const { nodes } = clusterSize(LOAD, COSTS);
  const within = flowOf(LOAD, 'candidates within a node')?.perSecond ?? 0;
  const between = flowOf(LOAD, 'candidates between nodes')?.perSecond ?? 0;
  expect(within + between).toBeCloseTo(8000);
  expect(within).toBeCloseTo(8000 / nodes.needed);
});

test('pairs with the room hint stay within a node, and the others only by chance', () => {
  const load = { ...LOAD, hintedShare: 0.75 };
  const { nodes } = clusterSize(load, COSTS);
  const between = flowOf(load, 'candidates between nodes')?.perSecond ?? 0;
  expect(between).toBeCloseTo(8000 * 0.25 * (1 - 1 / nodes.needed));
});

test('the number of nodes follows from CPU, including the messages that cross nodes', () => {
  const { nodes, total } = clusterSize(LOAD, COSTS);
  // Cores: pairings 1, visits 0.8, pings 0.05; messages as 12,000 candidates, of which five of six cross.
  expect(total.nodeMicroseconds / 1e6).toBeCloseTo(
    1.85 + (12_000 * (20 / 6 + (100 * 5) / 6)) / 1e6,
    1,
  );
  expect(nodes.byCpu).toBe(6);
  expect(nodes.needed).toBe(6);
});

test('a description needs more CPU than a candidate, and its bytes wherever it passes', () => {
  const { total } = flowOf({ ...LOAD, candidatesPerPairing: 0 }, 'descriptions between nodes') ?? {
    total: NOTHING,
  };
  const messages = total.commands;
  expect(total.nodeMicroseconds / messages).toBeCloseTo(200);
  expect(total.bytesToRedis / messages).toBeCloseTo(2500);
  expect(total.bytesToClients / messages).toBeCloseTo(2350);
  const same = flowOf(LOAD, 'descriptions within a node')?.total;
  expect(same?.bytesToRedis).toBe(0);
});

test('the number of nodes follows from connections if that is more', () => {
  const idle = { ...LOAD, pairingsPerSecond: 1 };
  const { nodes, nodeBytes } = clusterSize(idle, COSTS);
  // Half a gigabyte, without the memory of an idle node, holds 40,000.
  expect(nodes).toEqual({ byCpu: 1, byMemory: 3, byConnections: 2, needed: 3 });
  expect(nodeBytes).toBeCloseTo(1e8 + (100_000 / 3) * 10_000);
  const small = { ...idle, connectionsPerNode: 10_000 };
  expect(clusterSize(small, COSTS).nodes.needed).toBe(10);
});

test('Redis keeps codes, rooms and records for their lifetime, those of pairing on one master', () => {
  const { stored, pairingMaster, otherMasters } = clusterSize(LOAD, COSTS);
  const bytes = [1000 * 10 * 1000, 1000 * 86_400 * 1000, 1000 * 2 * 600 * 500];
  const live = (50_000 + 1000 * 120) * 800;
  expect(stored.map(({ count, bytesEach }) => count * bytesEach)).toEqual([...bytes, live]);
  expect(pairingMaster.bytes).toBe(bytes.reduce((sum, each) => sum + each));
  expect(pairingMaster.cores).toBeCloseTo(0.2);
  // CPU: 0.2 for visits, 0.3 for messages, in halves; memory in halves of 10 GB.
  expect(otherMasters).toEqual({ byCpu: 1, byMemory: 1, needed: 1 });
  const many = clusterSize({ ...LOAD, connections: 20_000_000 }, COSTS).otherMasters;
  expect(many).toMatchObject({ byMemory: 2, needed: 2 });
});

test('costs are added and multiplied by kind', () => {
  const sum = sumOf([times(COSTS.pairing, 2), COSTS.visit]);
  expect(sum).toEqual({ ...NOTHING, nodeMicroseconds: 2400, redisMicroseconds: 500, commands: 45 });
});

test('without all of its rows there is no size', () => {
  const row = { id: 'start/memory', label: '', unit: 'MB', better: 'less' as const };
  const result = { measuredAt: '', command: '', machine: {} as never };
  const results = { start: { ...result, rows: [{ ...row, figures: { couplet: single(90) } }] } };
  expect(costsFrom(results)).toBeNull();
  expect(sizingPart(results)).toBe('Not measured yet.');
});
