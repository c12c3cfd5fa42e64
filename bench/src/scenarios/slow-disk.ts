// Pairing on disks with slower durable writes: a single client, many clients, and the effect on forwarding.
import { type Scale, sampleOf } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { compileSlowFsync, withSlowFsync } from '../conductor/slow-fsync.js';
import { SPECS } from '../conductor/specs.js';
import { figureOf, type Row } from '../figures/row.js';
import type { Measurement } from '../load/job.js';
import { FORWARDS_PER_SECOND, forwardingWhile } from './mixed.js';

/** Added time of every fsync, in milliseconds: none, a fair SSD whose cache does not lie about syncs, a hard disk. */
const DELAYS_MS = [0, 5, 20];
const CLIENTS = 32;
/** A pairing rate that the slowest of these disks can keep while others forward, so that the disk is never idle. */
const PAIRINGS_PER_SECOND = 100;

interface Stand {
  ms: number;
  server: RunningServer;
  lone: Measurement[];
  many: Measurement[];
  forwarding: Measurement[];
}

/** No rows if the disk cannot be slowed down. */
export async function slowDisk(scale: Scale): Promise<Row[]> {
  const library = compileSlowFsync(scale.workFolder);
  if (library === null) {
    process.stdout.write('  note: not measured, that takes Linux and a C compiler (cc)\n');
    return [];
  }
  const seconds = scale.seconds * 2;
  const stands: Stand[] = [];
  try {
    for (const ms of scale.short ? DELAYS_MS.slice(0, 2) : DELAYS_MS) {
      const server = await startServer(withSlowFsync(SPECS.couplet, library, ms), scale.workFolder);
      stands.push({ ms, server, lone: [], many: [], forwarding: [] });
    }
    for (let round = 0; round < Math.min(scale.rounds, 2); round++) {
      for (const { server, lone, many, forwarding } of stands) {
        lone.push(await pairingOf(1, server, seconds));
        many.push(await pairingOf(CLIENTS, server, seconds));
        forwarding.push(await forwardingWhile(server, 'couplet', PAIRINGS_PER_SECOND, seconds));
      }
    }
  } finally {
    for (const { server } of stands) await server.stop();
  }
  return stands.flatMap(rowsOf);
}

async function pairingOf(
  clients: number,
  { port, pid }: RunningServer,
  seconds: number,
): Promise<Measurement> {
  const job = { kind: 'pairing', flow: 'pairing', clients, flowsPerSecond: 0, port, pid } as const;
  const generator = await Generator.prepare(job);
  try {
    return await generator.measure(seconds);
  } finally {
    await generator.stop();
  }
}

function rowsOf({ ms, lone, many, forwarding }: Stand): Row[] {
  const row = (
    id: string,
    label: string,
    rounds: readonly Measurement[],
    value: string,
    unit = 'ms',
  ): Row => ({
    id: `slow-disk/${ms}/${id}`,
    label: `${ms === 0 ? 'the disk as it is' : `fsync ${ms} ms longer`}: ${label}`,
    unit,
    better: unit === 'ms' ? 'less' : 'more',
    figures: {
      couplet: figureOf(rounds.map((round) => sampleOf(round, round.values[value] ?? Number.NaN))),
    },
  });
  const while_ = `forwarding at ${FORWARDS_PER_SECOND} messages/s, while ${PAIRINGS_PER_SECOND} pairings/s are committed`;
  return [
    row('loneP50', 'a pairing with nobody else there, median', lone, 'flowP50'),
    row('flows', `pairings of ${CLIENTS} clients`, many, 'flowsPerSecond', 'pairings/s'),
    row('forwardP50', `${while_}, median`, forwarding, 'p50'),
    row('forwardP99', `${while_}, p99`, forwarding, 'p99'),
  ];
}
