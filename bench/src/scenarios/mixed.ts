// The effect of durable commits on forwarding: its latency alone, and during pairings at half of the possible rate.
import { type Contender, contest, reading, rowOf, type Scale } from '../conductor/contest.js';
import type { ServerSpec } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { medianOf, type Row } from '../figures/row.js';
import { DIALECT_OF, type Forwarder } from './forward.js';
import { pairingBy, pairingJob } from './pairing.js';

export const FORWARDS_PER_SECOND = 5000;
const CLIENTS = 32;

export async function mixed(scale: Scale): Promise<Row[]> {
  const [flows] = await pairingBy(CLIENTS, { ...scale, rounds: 1 });
  const most = flows?.figures.couplet ? medianOf(flows.figures.couplet) : 0;
  const { couplet, together, peerjs, corked } = await contest(
    {
      couplet: forwardingWhile(SPECS.couplet, 0),
      together: forwardingWhile(SPECS.couplet, most / 2),
      // They forward at that rate alone, because they have no pairing.
      peerjs: forwardingWhile(SPECS.peerjs, 0, 'peerjs'),
      corked: forwardingWhile(SPECS.corked, 0, 'corked'),
    },
    { ...scale, seconds: scale.seconds * 2 },
  );
  const row = (id: string, label: string): Omit<Row, 'figures'> => ({
    id: `mixed/${id}`,
    label: `forwarding at ${FORWARDS_PER_SECOND} messages/s, ${label}`,
    unit: 'ms',
    better: 'less',
  });
  const while_ = `while ${Math.round(most / 2)} pairings/s are committed`;
  const alone = { couplet, peerjs, corked };
  const both = { couplet: together };
  const before = couplet.map(reading('p99'));
  return [
    rowOf(row('aloneP50', 'alone: median'), alone, 'p50'),
    rowOf(row('aloneP99', 'alone: p99'), alone, 'p99'),
    rowOf(row('togetherP50', `${while_}: median`), both, 'p50'),
    rowOf(row('togetherP99', `${while_}: p99`), both, 'p99'),
    rowOf(
      row('p99More', `${while_}: growth of p99`),
      both,
      (round, n) => reading('p99')(round) - (before[n] ?? Number.NaN),
    ),
    rowOf(
      { ...row('pairings', 'the pairings meanwhile'), unit: 'pairings/s', better: 'more' },
      both,
      'flowsPerSecond',
    ),
  ];
}

/** Forwards at a fixed rate during this many pairings per second; 0: none. */
export const forwardingWhile = (
  spec: ServerSpec,
  flowsPerSecond: number,
  name: Forwarder = 'couplet',
): Contender => ({
  spec,
  job: (at) => ({
    ...at,
    kind: 'mixed',
    forward: {
      ...at,
      kind: 'forward-open',
      dialect: DIALECT_OF[name],
      pairs: 100,
      frame: 'candidate',
      messagesPerSecond: FORWARDS_PER_SECOND,
    },
    pairing: flowsPerSecond === 0 ? null : pairingJob(CLIENTS, flowsPerSecond)(at),
  }),
});
