// One address floods a server with default settings in every allowed way, beside a measured healthy pair.
import { fileURLToPath } from 'node:url';
import { end, startNode } from '../conductor/children.js';
import type { Scale } from '../conductor/contest.js';
import { type RunningServer, startServer } from '../conductor/server.js';
import { couplet } from '../conductor/specs.js';
import { figureOf, type Row, type Sample } from '../figures/row.js';
import { MIXES, type MixName } from '../load/abuse-mixes.js';
import { type Health, measureHealth } from '../load/healthy-pair.js';

const ATTACKER = fileURLToPath(new URL('../load/attacker.js', import.meta.url));

/** Time for the attacker to open its connections. */
const RAMP_UP_SECONDS = 1;

const SPEC = couplet([], {});

const CASES: [MixName | 'alone', string][] = [
  ['alone', 'nobody else'],
  ...(Object.entries(MIXES).map(([name, { label }]) => [name, label]) as [MixName, string][]),
];

export async function abuse(scale: Scale): Promise<Row[]> {
  const seconds = scale.short ? 1 : 8;
  const rows: Row[] = [];
  for (const [name, label] of CASES) {
    const rounds: Health[] = [];
    for (let round = 0; round < scale.rounds; round++) {
      rounds.push(await healthBeside(name, seconds, scale.workFolder));
    }
    const row = (what: 'forward' | 'rest', share: 'p50' | 'p99'): Row => ({
      id: `abuse/${name}/${what}/${share}`,
      label: `beside ${label}: ${what === 'forward' ? 'forwarding' : 'REST'}, ${share === 'p50' ? 'median' : 'p99'}`,
      unit: 'ms',
      better: 'less',
      figures: { couplet: figureOf(rounds.map((health) => sampleOf(health, health[what][share]))) },
    });
    rows.push(row('forward', 'p50'), row('forward', 'p99'), row('rest', 'p50'), row('rest', 'p99'));
  }
  return rows;
}

const sampleOf = ({ errors, serverCpu }: Health, value: number): Sample => ({
  value,
  loadCpu: null,
  serverCpu,
  crowded: null,
  errors,
});

/** A new server for each measurement, so that limits used up in one attack do not affect the next. */
async function healthBeside(
  name: MixName | 'alone',
  seconds: number,
  workFolder: string,
): Promise<Health> {
  const server: RunningServer = await startServer(SPEC, workFolder);
  const attacker =
    name === 'alone'
      ? undefined
      : startNode([ATTACKER, name, String(server.port), String(seconds + 30)], {
          core: 'load',
          output: 'inherit',
        });
  try {
    return await measureHealth(server, seconds, RAMP_UP_SECONDS);
  } finally {
    if (attacker !== undefined) await end(attacker);
    await server.stop();
  }
}
