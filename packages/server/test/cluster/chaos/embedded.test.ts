// The same clients, faults and checker on one server that needs no other: it is killed, paused and restarted.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CHAOS_PAIRS, CHAOS_SECONDS, CHAOS_SEED } from './budget.js';
import { chaos } from './chaos.js';
import { boundsFor } from './checker/bounds.js';
import { ServerNode } from './server-node.js';
import { SERVER_SETTINGS } from './server-settings.js';

test(
  'one server under faults keeps every invariant',
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'couplet-chaos-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const env = { ...SERVER_SETTINGS, USE_SQLITE: '1', SQLITE_DB_PATH: join(folder, 'chat.db') };
    const node = new ServerNode(0, env);
    onTestFinished(() => node.kill());
    await node.start();
    const report = (line: string) => process.stdout.write(`chaos: ${line}\n`);
    report(`one server, seed ${CHAOS_SEED}, ${CHAOS_SECONDS} s`);
    const verdict = await chaos(
      {
        nodes: [node],
        engine: undefined,
        terrain: { nodes: 1, leaseMs: 4000, redis: false, failover: false },
        bounds: boundsFor({ leaseSeconds: 4, heartbeatSeconds: 2 }),
      },
      { seed: CHAOS_SEED, seconds: CHAOS_SECONDS, pairs: CHAOS_PAIRS, report },
    );
    expect(verdict.violations).toEqual([]);
  },
  CHAOS_SECONDS * 1000 + 120_000,
);
