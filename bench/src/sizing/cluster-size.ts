// Calculates the number of nodes and Redis masters for a load from the cost of each event. Pure.
import { type Cost, sumOf, times } from './cost.js';
import type { Costs } from './costs.js';
import type { ClusterLoad } from './load.js';

/** Events of one kind per second, and their total cost in microseconds, commands and bytes per second. */
export interface Flow {
  name: string;
  perSecond: number;
  total: Cost;
}

export interface ClusterSize {
  flows: readonly Flow[];
  total: Cost;
  /** Lifetime of a connection, from the rate of new connections and their number. */
  sessionSeconds: number;
  /** A node is one process, and has one core. */
  nodes: { byCpu: number; byMemory: number; byConnections: number; needed: number };
  /** Memory of each node, in bytes. */
  nodeBytes: number;
  /** Rows in Redis: the number of each kind, and the bytes of one. */
  stored: Stored[];
  /** Use of the one master that has all of pairing, regardless of the number of masters: cores and bytes. */
  pairingMaster: { cores: number; bytes: number };
  /** A master of Redis has one core. */
  otherMasters: { byCpu: number; byMemory: number; needed: number };
}

export interface Stored {
  name: string;
  count: number;
  bytesEach: number;
  /** Whether it belongs to pairing. */
  ofPairing: boolean;
}

/** How long an idempotency record is kept, and how long Redis keeps a room after its members have left. */
const RECORD_SECONDS = 600;
const LEFT_SECONDS = 120;
const DAY_SECONDS = 86_400;
const GB = 1e9;

export function clusterSize(load: ClusterLoad, costs: Costs): ClusterSize {
  const visitsPerSecond = load.pairingsPerSecond * 2;
  const nodeBound = (bytes: number) =>
    Math.ceil((load.connections * bytes) / (load.nodeGb * GB * load.share - costs.memory.node));
  const byMemory = nodeBound(costs.memory.connection);
  const byConnections = Math.ceil(load.connections / load.connectionsPerNode);
  // With more nodes, more messages cross nodes, which may need more nodes: repeat until the number is stable.
  let nodes = Math.max(byMemory, byConnections);
  let flows = flowsOf(load, costs, nodes);
  let byCpu = coresOf(flows, 'nodeMicroseconds', load.share);
  while (byCpu > nodes) {
    nodes = byCpu;
    flows = flowsOf(load, costs, nodes);
    byCpu = coresOf(flows, 'nodeMicroseconds', load.share);
  }
  const stored = storedOf(load, costs);
  const bytesOf = (ofPairing: boolean) =>
    stored
      .filter((each) => each.ofPairing === ofPairing)
      .reduce((sum, { count, bytesEach }) => sum + count * bytesEach, 0);
  const [pairings, ...others] = flows as [Flow, ...Flow[]];
  const otherMasters = {
    byCpu: coresOf(others, 'redisMicroseconds', load.share),
    byMemory: Math.ceil(bytesOf(false) / (load.masterGb * GB * load.share)),
  };
  return {
    flows,
    total: sumOf(flows.map(({ total }) => total)),
    sessionSeconds: load.connections / visitsPerSecond,
    nodes: { byCpu, byMemory, byConnections, needed: nodes },
    nodeBytes: costs.memory.node + (load.connections / nodes) * costs.memory.connection,
    stored,
    pairingMaster: { cores: pairings.total.redisMicroseconds / 1e6, bytes: bytesOf(true) },
    otherMasters: {
      ...otherMasters,
      needed: Math.max(otherMasters.byCpu, otherMasters.byMemory),
    },
  };
}

/** Events per second with this many nodes, to which connections go by the room hint or by chance. */
function flowsOf(load: ClusterLoad, costs: Costs, nodes: number): Flow[] {
  const { pairingsPerSecond, descriptionsPerPairing, candidatesPerPairing } = load;
  const descriptions = pairingsPerSecond * descriptionsPerPairing;
  const candidates = pairingsPerSecond * candidatesPerPairing;
  const same = load.hintedShare + (1 - load.hintedShare) / nodes;
  const flow = (name: string, perSecond: number, cost: Cost): Flow => ({
    name,
    perSecond,
    total: times(cost, perSecond),
  });
  const { description } = costs;
  return [
    flow('pairings', pairingsPerSecond, costs.pairing),
    flow('clients that connect, join and go', pairingsPerSecond * 2, costs.visit),
    flow('candidates within a node', candidates * same, costs.same),
    flow('candidates between nodes', candidates * (1 - same), costs.crossing),
    flow('descriptions within a node', descriptions * same, larger(costs.same, description)),
    flow(
      'descriptions between nodes',
      descriptions * (1 - same),
      larger(costs.crossing, description),
    ),
    flow('pings', load.connections / load.heartbeatSeconds, costs.heartbeat),
  ];
}

function storedOf(load: ClusterLoad, { memory }: Costs): Stored[] {
  const { pairingsPerSecond, connections, secondsToAccept, recordsPerPairing, roomDays } = load;
  // Each room is left once, by both members.
  const live = connections / 2 + pairingsPerSecond * LEFT_SECONDS;
  const per = (seconds: number) => pairingsPerSecond * seconds;
  return [
    {
      name: 'codes that wait',
      count: per(secondsToAccept),
      bytesEach: memory.pending,
      ofPairing: true,
    },
    {
      name: 'paired rooms',
      count: per(roomDays * DAY_SECONDS),
      bytesEach: memory.room,
      ofPairing: true,
    },
    {
      name: 'idempotency records',
      count: per(recordsPerPairing * RECORD_SECONDS),
      bytesEach: memory.record,
      ofPairing: true,
    },
    {
      name: 'rooms with live members, and just left',
      count: live,
      bytesEach: memory.live,
      ofPairing: false,
    },
  ];
}

/** Number of cores if each is used up to this share. */
const coresOf = (flows: readonly Flow[], who: keyof Cost, share: number): number =>
  Math.ceil(flows.reduce((sum, { total }) => sum + total[who], 0) / 1e6 / share);

/** The cost of a longer message: a multiple of the CPU time, and its bytes wherever it passes. */
function larger(cost: Cost, { times: factor, moreBytes }: Costs['description']): Cost {
  const moreIn = (bytes: number) => (bytes > 0 ? bytes + moreBytes : 0);
  return {
    commands: cost.commands,
    nodeMicroseconds: cost.nodeMicroseconds * factor,
    redisMicroseconds: cost.redisMicroseconds * factor,
    bytesToRedis: moreIn(cost.bytesToRedis),
    bytesFromRedis: moreIn(cost.bytesFromRedis),
    bytesFromClients: moreIn(cost.bytesFromClients),
    bytesToClients: moreIn(cost.bytesToClients),
  };
}
