// One address floods a server with default settings in every allowed way, beside a measured healthy pair.
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { end, startNode } from '../conductor/children.js';
import { at, rowOf, type Scale } from '../conductor/contest.js';
import { Generator } from '../conductor/generator.js';
import { startServer } from '../conductor/server.js';
import { couplet } from '../conductor/specs.js';
import type { Row } from '../figures/row.js';
import type { Measurement } from '../load/job.js';
import { pairingJob } from './pairing.js';

const ATTACKER = fileURLToPath(new URL('../load/attacker.js', import.meta.url));

/** Time for the attacker to open its connections. */
const RAMP_UP_MS = 1000;

/** The healthy load: one pair that forwards, and one device that pairs over REST. */
const MESSAGES_PER_SECOND = 100;
const PAIRINGS_PER_SECOND = 8;

/** The mixes of load/attacker.ts. */
export const MIXES = {
  json: '64 KB of nested, wide and escaped JSON',
  pairs: '250 flooding pairs',
  pipelined: 'pipelined /healthz and /metrics',
  purges: 'purges of 2 MB and of 1000 long ids',
  signaling: 'WebSockets that join, leave, ping and err',
  connections: 'connections and handshakes, opened and closed',
  bodies: 'bodies in tiny chunks, endless ones, and long headers',
  sockets: '1000 idle sockets',
  together: 'all of these together',
};

export async function abuse(scale: Scale): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, label] of [['alone', 'no flood'] as const, ...Object.entries(MIXES)]) {
    const rounds: Measurement[] = [];
    while (rounds.length < scale.rounds) rounds.push(await healthBeside(name, scale));
    const row = (what: 'forward' | 'rest', share: 'p50' | 'p99', value: string): Row =>
      rowOf(
        {
          id: `abuse/${name}/${what}/${share}`,
          label: `beside ${label}: ${what === 'forward' ? 'forwarding' : 'REST'}, ${share === 'p50' ? 'median' : 'p99'}`,
          unit: 'ms',
          better: 'less',
        },
        { couplet: rounds },
        value,
      );
    rows.push(row('forward', 'p50', 'p50'), row('forward', 'p99', 'p99'));
    rows.push(row('rest', 'p50', 'requestP50'), row('rest', 'p99', 'requestP99'));
  }
  return rows;
}

/** A new server for each measurement, so that limits used up in one attack do not affect the next. */
async function healthBeside(mix: string, { short, workFolder }: Scale): Promise<Measurement> {
  const seconds = short ? 1 : 8;
  const server = await startServer(couplet([], {}), workFolder);
  const where = at(server);
  let generator: Generator | undefined;
  let attacker: ReturnType<typeof startNode> | undefined;
  try {
    generator = await Generator.prepare({
      ...where,
      kind: 'mixed',
      forward: {
        ...where,
        kind: 'forward-open',
        dialect: 'couplet',
        pairs: 1,
        frame: 'candidate',
        messagesPerSecond: MESSAGES_PER_SECOND,
      },
      pairing: pairingJob(1, PAIRINGS_PER_SECOND)(where),
    });
    if (mix !== 'alone') {
      const args = [ATTACKER, mix, String(server.port), String(seconds + 30)];
      attacker = startNode(args, { core: 'load', output: 'inherit' });
    }
    await sleep(RAMP_UP_MS);
    return await generator.measure(seconds);
  } finally {
    if (attacker !== undefined) await end(attacker);
    await generator?.stop();
    await server.stop();
  }
}
