// What durable commits do to forwarding: its latency at a fixed rate, alone and while others pair at half of what is possible.
import { type Scale, sampleOf } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { figureOf, medianOf, type Row } from '../figures/row.js';
import type { Measurement, OpenForwardJob, PairingJob } from '../load/job.js';
import { pairingBy } from './pairing.js';

const FORWARDS_PER_SECOND = 5000;
const CLIENTS = 32;

export async function mixed(scale: Scale): Promise<Row[]> {
  const most = await mostPairings(scale);
  const { alone, together } = await interleaved(most / 2, scale);
  const row = (id: string, label: string, rounds: readonly Measurement[], value: string): Row => ({
    id: `mixed/${id}`,
    label: `forwarding at ${FORWARDS_PER_SECOND} messages/s, ${label}`,
    unit: 'ms',
    better: 'less',
    figures: {
      couplet: figureOf(rounds.map((round) => sampleOf(round, round.values[value] ?? Number.NaN))),
    },
  });
  const while_ = `while ${Math.round(most / 2)} pairings/s are committed`;
  const more: Row = {
    ...row('p99More', `${while_}: growth of p99`, together, 'p99'),
    figures: {
      couplet: figureOf(
        together.map((round, n) =>
          sampleOf(round, (round.values.p99 ?? 0) - (alone[n]?.values.p99 ?? 0)),
        ),
      ),
    },
  };
  return [
    row('aloneP50', 'alone: median', alone, 'p50'),
    row('aloneP99', 'alone: p99', alone, 'p99'),
    row('togetherP50', `${while_}: median`, together, 'p50'),
    row('togetherP99', `${while_}: p99`, together, 'p99'),
    more,
    {
      ...row('pairings', 'the pairings meanwhile', together, 'flowsPerSecond'),
      unit: 'pairings/s',
      better: 'more',
    },
  ];
}

async function mostPairings(scale: Scale): Promise<number> {
  const [flows] = await pairingBy(CLIENTS, { ...scale, rounds: 1 });
  return flows?.figures.couplet ? medianOf(flows.figures.couplet) : 0;
}

/** Both loads against one server, in turns. */
async function interleaved(flowsPerSecond: number, scale: Scale) {
  const alone: Measurement[] = [];
  const together: Measurement[] = [];
  const server = await startServer(SPECS.couplet, scale.workFolder);
  try {
    const { port, pid } = server;
    const forward: OpenForwardJob = {
      kind: 'forward-open',
      dialect: 'couplet',
      pairs: 100,
      frame: 'candidate',
      messagesPerSecond: FORWARDS_PER_SECOND,
      port,
      pid,
    };
    const pairing: PairingJob = {
      kind: 'pairing',
      flow: 'pairing',
      clients: CLIENTS,
      flowsPerSecond,
      port,
      pid,
    };
    for (let round = 0; round < scale.rounds; round++) {
      // A generator each: two on one core would delay each other, and both would enter the same rooms.
      for (const [rounds, withPairing] of [
        [alone, null],
        [together, pairing],
      ] as const) {
        const generator = await Generator.prepare({
          kind: 'mixed',
          forward,
          pairing: withPairing,
          port,
          pid,
        });
        try {
          rounds.push(await generator.measure(scale.seconds * 2));
        } finally {
          await generator.stop();
        }
      }
    }
  } finally {
    await server.stop();
  }
  return { alone, together };
}
