// The effect of durable commits on forwarding: its latency alone, and during pairings at half of the possible rate.
import { type Scale, sampleOf } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { SPECS } from '../conductor/specs.js';
import { figureOf, medianOf, type Row } from '../figures/row.js';
import type { Measurement } from '../load/job.js';
import { dialectOf, type Forwarder } from './forward.js';
import { pairingBy } from './pairing.js';

export const FORWARDS_PER_SECOND = 5000;
const CLIENTS = 32;

/** Servers that forward at that rate alone, because they have no pairing. */
const BESIDE = ['peerjs', 'corked'] as const;

/** The forwarded message, and its label. */
type Case = Forwarder | 'together';

export async function mixed(scale: Scale): Promise<Row[]> {
  const most = await mostPairings(scale);
  const rounds = await interleaved(most / 2, scale);
  const samples = (of: Case, value: string) =>
    figureOf(
      (rounds.get(of) ?? []).map((round) => sampleOf(round, round.values[value] ?? Number.NaN)),
    );
  const row = (id: string, label: string, of: Case, value: string): Row => ({
    id: `mixed/${id}`,
    label: `forwarding at ${FORWARDS_PER_SECOND} messages/s, ${label}`,
    unit: 'ms',
    better: 'less',
    figures: { couplet: samples(of, value) },
  });
  const alone = (id: string, label: string, value: string): Row => {
    const others = BESIDE.map((name) => [name, samples(name, value)]);
    const { figures, ...rest } = row(id, label, 'couplet', value);
    return { ...rest, figures: { ...figures, ...Object.fromEntries(others) } };
  };
  const while_ = `while ${Math.round(most / 2)} pairings/s are committed`;
  const together = rounds.get('together') ?? [];
  const before = rounds.get('couplet') ?? [];
  return [
    alone('aloneP50', 'alone: median', 'p50'),
    alone('aloneP99', 'alone: p99', 'p99'),
    row('togetherP50', `${while_}: median`, 'together', 'p50'),
    row('togetherP99', `${while_}: p99`, 'together', 'p99'),
    {
      ...row('p99More', `${while_}: growth of p99`, 'together', 'p99'),
      figures: {
        couplet: figureOf(
          together.map((round, n) =>
            sampleOf(round, (round.values.p99 ?? 0) - (before[n]?.values.p99 ?? 0)),
          ),
        ),
      },
    },
    {
      ...row('pairings', 'the pairings meanwhile', 'together', 'flowsPerSecond'),
      unit: 'pairings/s',
      better: 'more',
    },
  ];
}

async function mostPairings(scale: Scale): Promise<number> {
  const [flows] = await pairingBy(CLIENTS, { ...scale, rounds: 1 });
  return flows?.figures.couplet ? medianOf(flows.figures.couplet) : 0;
}

/** Both loads against one server, in turn; the other servers forward alone, in the same rounds. */
async function interleaved(
  flowsPerSecond: number,
  scale: Scale,
): Promise<Map<Case, Measurement[]>> {
  const rounds = new Map<Case, Measurement[]>();
  const servers = new Map<Forwarder, RunningServer>();
  const measure = async (of: Case, name: Forwarder, flows: number) => {
    const server = servers.get(name) as RunningServer;
    const measurement = await forwardingWhile(server, name, flows, scale.seconds * 2);
    rounds.set(of, [...(rounds.get(of) ?? []), measurement]);
  };
  try {
    for (const name of ['couplet', ...BESIDE] as const) {
      servers.set(name, await startServer(SPECS[name], scale.workFolder));
    }
    for (let round = 0; round < scale.rounds; round++) {
      await measure('couplet', 'couplet', 0);
      await measure('together', 'couplet', flowsPerSecond);
      for (const name of BESIDE) await measure(name, name, 0);
    }
  } finally {
    for (const server of servers.values()) await server.stop();
  }
  return rounds;
}

/** Forwards at a fixed rate during this many pairings per second; 0: none. */
export async function forwardingWhile(
  { port, pid }: RunningServer,
  name: Forwarder,
  flowsPerSecond: number,
  seconds: number,
): Promise<Measurement> {
  // One generator for each measurement: two on one core would delay each other, and both would enter the same rooms.
  const generator = await Generator.prepare({
    kind: 'mixed',
    forward: {
      kind: 'forward-open',
      dialect: dialectOf(name),
      pairs: 100,
      frame: 'candidate',
      messagesPerSecond: FORWARDS_PER_SECOND,
      port,
      pid,
    },
    pairing:
      flowsPerSecond === 0
        ? null
        : { kind: 'pairing', flow: 'pairing', clients: CLIENTS, flowsPerSecond, port, pid },
    port,
    pid,
  });
  try {
    return await generator.measure(seconds);
  } finally {
    await generator.stop();
  }
}
