// Converts the results of loads on clusters to rows, and compares a message between nodes with one within a node.
import { reading, rowOf } from '../conductor/contest.js';
import { bare, figureOf, type Row } from '../figures/row.js';
import type { Measurement, Place } from '../load/job.js';

/** A value that was counted once; less is better. */
export const countRow = (
  id: string,
  label: string,
  unit: string,
  value = Number.NaN,
  errors = 0,
): Row => ({
  id: `cluster/${id}`,
  label,
  unit,
  better: 'less',
  figures: { couplet: figureOf([bare(value, errors)]) },
});

export const CLIENTS = 32;
/** Messages per second of the open loop, a rate that nodes and Redis on one core can keep. */
export const OPEN_RATE = 2000;

export type Kind = 'closed/1' | 'closed/8' | 'open' | 'pairing';

/** The results of the rounds of one load on one cluster. */
export interface Findings {
  nodes: number;
  place: Place;
  kind: Kind;
  /** `crossings`: messages that a node sent to another, in percent; per event `publications`, `bytesIn` and `bytesOut` of Redis. */
  rounds: Measurement[];
}

const PLACES: Record<Place, string> = {
  same: ', peers at the same node',
  apart: ', peers at different nodes',
  hinted: ' behind Caddy, with the room hint',
  unhinted: ' behind Caddy, without the room hint',
};

export function rowsOf({ nodes, place, kind, rounds }: Findings): Row[] {
  const row = (value: string, label: string, unit: string): Row =>
    rowOf(
      {
        id: `cluster/${nodes}/${kind === 'pairing' ? '' : `${place}/`}${kind}/${value}`,
        label,
        unit,
        better: unit.endsWith('/s') ? 'more' : 'less',
      },
      { couplet: rounds },
      value,
    );
  const several = nodes === 1 ? '1 node' : `${nodes} nodes`;
  if (kind === 'pairing') {
    const flows = `${several}, ${CLIENTS} clients: `;
    return [
      row('flowsPerSecond', `${flows}pairings of 4 requests`, 'pairings/s'),
      row('serverMicroseconds', `${flows}a pairing, CPU time of all nodes`, 'µs'),
      row('redisMicroseconds', `${flows}a pairing, CPU time of Redis`, 'µs'),
      row('bytesFromClients', `${flows}a pairing, from clients`, 'bytes'),
      row('bytesToClients', `${flows}a pairing, to clients`, 'bytes'),
    ];
  }
  const peers = nodes === 1 ? '' : PLACES[place];
  const usesRedis = place !== 'same';
  const load = kind === 'open' ? `${OPEN_RATE} messages/s` : `${kind.slice(-1)} in flight`;
  const title = `${several}${peers}, ${load}: `;
  const costs = [
    row('serverMicroseconds', `${title}a message, CPU time of all nodes`, 'µs'),
    ...(usesRedis ? [row('redisMicroseconds', `${title}a message, CPU time of Redis`, 'µs')] : []),
  ];
  if (kind !== 'open')
    return [row('messagesPerSecond', `${title}messages`, 'messages/s'), ...costs];
  const isBalanced = place === 'hinted' || place === 'unhinted';
  return [
    row('p50', `${title}median`, 'ms'),
    row('p99', `${title}p99`, 'ms'),
    ...costs,
    ...(isBalanced ? [row('crossings', `${title}messages between nodes`, '%')] : []),
    row('publications', `${title}a message, publications in Redis`, 'commands'),
    ...(usesRedis
      ? [
          row('bytesIn', `${title}a message of 245 B, to Redis`, 'bytes'),
          row('bytesOut', `${title}a message of 245 B, from Redis`, 'bytes'),
        ]
      : []),
  ];
}

/** A message between nodes against one within a node, and one with the room hint against one without. */
export function ratioRows(findings: readonly Findings[]): Row[] {
  const open = findings.filter(({ kind }) => kind === 'open');
  const contrast = (id: string, label: string, of: Place, against: Place) =>
    open
      .filter(({ place }) => place === of)
      .flatMap(({ nodes, rounds }) => {
        const others = open.find((other) => other.nodes === nodes && other.place === against);
        const row = (name: string, what: string, value: (round: Measurement) => number): Row => {
          const before = others?.rounds.map(value) ?? [];
          return rowOf(
            {
              id: `cluster/${nodes}/${id}/${name}`,
              label: `${nodes} nodes: ${label}: ${what}`,
              unit: '×',
              better: 'less',
            },
            { couplet: rounds },
            (round, n) => value(round) / (before[n] ?? Number.NaN),
          );
        };
        return [
          row('cpu', 'CPU time of nodes and Redis', cpuOf),
          row('p50', 'median of the latency', reading('p50')),
        ];
      });
  return [
    ...contrast('crossing', 'a message between nodes, against one within a node', 'apart', 'same'),
    ...contrast('hint', 'a message with the room hint, against one without', 'hinted', 'unhinted'),
  ];
}

const cpuOf = (round: Measurement): number =>
  reading('serverMicroseconds')(round) + reading('redisMicroseconds')(round);
