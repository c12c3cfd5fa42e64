// Writes the tables of the cluster size for a million connections, calculated from the measured cost of each event.
import { clusterSize } from '../sizing/cluster-size.js';
import type { Cost } from '../sizing/cost.js';
import { costsFrom } from '../sizing/costs.js';
import { type ClusterLoad, MILLION } from '../sizing/load.js';
import { percent, shown } from './numbers.js';
import type { Results } from './results.js';

export function sizingPart(results: Results): string {
  const costs = costsFrom(results);
  if (costs === null) return 'Not measured yet.';
  const size = clusterSize(MILLION, costs);
  const { flows, total, sessionSeconds, nodes, nodeBytes, stored } = size;
  const { pairingMaster, otherMasters } = size;
  const everything = { name: '**together**', perSecond: Number.NaN, total };
  const events = table(
    [
      '',
      'a second',
      'cores of nodes',
      'cores of Redis',
      'commands/s',
      'MB/s to Redis',
      'MB/s from Redis',
    ],
    [...flows, everything].map(({ name, perSecond, total: cost }) => [
      name,
      shown(perSecond),
      shown(cost.nodeMicroseconds / 1e6),
      shown(cost.redisMicroseconds / 1e6),
      shown(cost.commands),
      shown(cost.bytesToRedis / 1e6),
      shown(cost.bytesFromRedis / 1e6),
    ]),
  );
  const kept = table(
    ['in Redis', 'how many', 'bytes of each', 'GB'],
    stored.map(({ name, count, bytesEach }) => [
      name,
      shown(count),
      shown(bytesEach),
      shown((count * bytesEach) / 1e9),
    ]),
  );
  const needed = table(
    ['', 'needed'],
    [
      [
        'nodes',
        `**${nodes.needed}** (by CPU ${nodes.byCpu}, by memory ${nodes.byMemory}, by \`MAX_CONNECTIONS\` ${nodes.byConnections})`,
      ],
      ['memory of a node', `${shown(nodeBytes / 1e6)} MB`],
      [
        'the master of Redis that has all of pairing',
        `${percent(pairingMaster.cores)} of its core, ${shown(pairingMaster.bytes / 1e9)} GB in use: **${shown(pairingMaster.bytes / 1e9 / MILLION.share)} GB** of memory`,
      ],
      [
        'other masters of Redis',
        `**${otherMasters.needed}** (by CPU ${otherMasters.byCpu}, by memory ${otherMasters.byMemory})`,
      ],
      ...networkRows(total, nodes.needed),
    ],
  );
  return [assumed(MILLION, sessionSeconds), events, kept, needed].join('\n\n');
}

function networkRows(total: Cost, nodes: number): string[][] {
  const megabits = (bytes: number, machines: number) =>
    `${shown((bytes * 8) / 1e6 / machines)} Mbit/s`;
  const { bytesFromClients, bytesToClients, bytesToRedis, bytesFromRedis } = total;
  return [
    [
      'network of a node',
      `clients: ${megabits(bytesFromClients, nodes)} in, ${megabits(bytesToClients, nodes)} out; ` +
        `Redis: ${megabits(bytesFromRedis, nodes)} in, ${megabits(bytesToRedis, nodes)} out`,
    ],
    [
      'network of all',
      `clients: ${megabits(bytesFromClients, 1)} in, ${megabits(bytesToClients, 1)} out; ` +
        `Redis: ${megabits(bytesToRedis, 1)} in, ${megabits(bytesFromRedis, 1)} out`,
    ],
  ];
}

function assumed(load: ClusterLoad, sessionSeconds: number): string {
  const {
    connections,
    pairingsPerSecond,
    descriptionsPerPairing,
    candidatesPerPairing,
    hintedShare,
  } = load;
  return (
    `Calculated for ${exact(connections)} connections and ${exact(pairingsPerSecond)} pairings a second. The two devices of each ` +
    `pairing connect, so a connection lasts ${shown(sessionSeconds)} s; a pair sends ${descriptionsPerPairing} descriptions and ` +
    `${candidatesPerPairing} candidates. The room hint brings ${percent(hintedShare)} of the pairs to one node; the others are at nodes by chance. A code waits ${load.secondsToAccept} s, ${load.recordsPerPairing} requests of a pairing have an ` +
    `\`Idempotency-Key\`, and a paired room is kept for ${load.roomDays === 1 ? 'a day' : `${load.roomDays} days`}. Nodes and masters of Redis have a core each, ` +
    `${load.nodeGb} GB and ${load.masterGb} GB; of each, ${percent(load.share)} are to be used. The master that has all of pairing has as much memory as it takes.`
  );
}

const exact = (value: number): string => value.toLocaleString('en-US');

const table = (head: readonly string[], rows: readonly (readonly string[])[]): string =>
  [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
