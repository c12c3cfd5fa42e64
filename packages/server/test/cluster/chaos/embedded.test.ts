// The same clients, faults and checker on one server that needs no other: it is killed, paused and restarted.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { CHAOS_PAIRS, CHAOS_SECONDS, CHAOS_SEED } from './budget.js';
import { chaos } from './chaos.js';
import { boundsFor } from './checker/bounds.js';
import { ServerNode } from './server-node.js';
import { HEARTBEAT_SECONDS, LEASE_SECONDS, SERVER_SETTINGS } from './server-settings.js';

/** It has fewer faults than a cluster. */
const SECONDS = CHAOS_SECONDS / 4;
const PAIRS = Math.ceil(CHAOS_PAIRS / 4);

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
    report(`one server, seed ${CHAOS_SEED}, ${SECONDS} s`);
    const verdict = await chaos(
      {
        nodes: [node],
        engine: undefined,
        terrain: { nodes: 1, leaseMs: LEASE_SECONDS * 1000, redis: false, failover: false },
        bounds: boundsFor({ leaseSeconds: LEASE_SECONDS, heartbeatSeconds: HEARTBEAT_SECONDS }),
      },
      { seed: CHAOS_SEED, seconds: SECONDS, pairs: PAIRS, report },
    );
    expect(verdict.violations).toEqual([]);
  },
  SECONDS * 1000 + 120_000,
);
