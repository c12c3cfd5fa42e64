// Converts the results of loads on clusters to rows, and compares a message between nodes with one within a node.
import { sampleOf } from '../conductor/contest.js';
import { bare, figureOf, type Row, roundRatios } from '../figures/row.js';
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
  rounds: Round[];
}

export type Round = Measurement & {
  /** Messages that a node sent to another, in percent; per event, publications in Redis, and bytes to it and from it. */
  between: { crossings: number; publications: number; bytesIn: number; bytesOut: number };
};

const PLACES: Record<Place, string> = {
  same: ', peers at the same node',
  apart: ', peers at different nodes',
  hinted: ' behind Caddy, with the room hint',
  unhinted: ' behind Caddy, without the room hint',
};

export function rowsOf({ nodes, place, kind, rounds }: Findings): Row[] {
  const row = (
    value: string,
    label: string,
    unit: string,
    read = (round: Round) => round.values[value] ?? Number.NaN,
  ): Row => {
    const peers = kind === 'pairing' ? '' : `${place}/`;
    return {
      id: `cluster/${nodes}/${peers}${kind}/${value}`,
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
  const between = (name: keyof Round['between']) => (round: Round) => round.between[name];
  const isBalanced = place === 'hinted' || place === 'unhinted';
  return [
    row('p50', `${title}median`, 'ms'),
    row('p99', `${title}p99`, 'ms'),
    ...costs,
    ...(isBalanced
      ? [row('crossings', `${title}messages between nodes`, '%', between('crossings'))]
      : []),
    row(
      'publications',
      `${title}a message, publications in Redis`,
      'commands',
      between('publications'),
    ),
    ...(usesRedis
      ? [
          row('bytesIn', `${title}a message of 245 B, to Redis`, 'bytes', between('bytesIn')),
          row('bytesOut', `${title}a message of 245 B, from Redis`, 'bytes', between('bytesOut')),
        ]
      : []),
  ];
}

/** A comparison of one place with another. */
const CONTRASTS: readonly { id: string; label: string; of: Place; against: Place }[] = [
  {
    id: 'crossing',
    label: 'a message between nodes, against one within a node',
    of: 'apart',
    against: 'same',
  },
  {
    id: 'hint',
    label: 'a message with the room hint, against one without',
    of: 'hinted',
    against: 'unhinted',
  },
];

/** Of the open loop, per round: CPU time of nodes and Redis together, and the median of the latency. */
export function ratioRows(findings: readonly Findings[]): Row[] {
  const open = findings.filter(({ kind }) => kind === 'open');
  return CONTRASTS.flatMap(({ id, label, of, against }) =>
    open
      .filter(({ place }) => place === of)
      .flatMap(({ nodes, rounds }) => {
        const others = open.find((other) => other.nodes === nodes && other.place === against);
        const row = (name: string, what: string, value: (round: Round) => number): Row => {
          const ratios = roundRatios(rounds.map(value), (others?.rounds ?? []).map(value));
          const samples = ratios.map((ratio, n) => sampleOf(rounds[n] as Round, ratio));
          return {
            id: `cluster/${nodes}/${id}/${name}`,
            label: `${nodes} nodes: ${label}: ${what}`,
            unit: '×',
            better: 'less',
            figures: { couplet: figureOf(samples) },
          };
        };
        return [
          row('cpu', 'CPU time of nodes and Redis', cpuOf),
          row('p50', 'median of the latency', ({ values }) => values.p50 ?? Number.NaN),
        ];
      }),
  );
}

const cpuOf = ({ values: { serverMicroseconds, redisMicroseconds } }: Round): number =>
  (serverMicroseconds ?? Number.NaN) + (redisMicroseconds ?? Number.NaN);
