// Three nodes and 200 pairs under all kinds of faults: the invariants hold, and all pairs are served ten seconds after the last fault.

import { describeWith } from '@couplet/testkit/components';
import { afterAll, expect, test } from 'vitest';
import { CHAOS_PAIRS, CHAOS_REDIS, CHAOS_SECONDS, CHAOS_SEED, logPathOf } from './budget.js';
import { chaos } from './chaos.js';
import { boundsFor } from './checker/bounds.js';
import { startClusterEngine } from './cluster-engine.js';
import { REPLICAS_ACK } from './redis-engine.js';
import { startSentinelEngine } from './sentinel-engine.js';
import { ServerNode } from './server-node.js';
import { HEARTBEAT_SECONDS, LEASE_SECONDS, SERVER_SETTINGS } from './server-settings.js';

const NODES = 3;

const startEngine = CHAOS_REDIS === 'cluster' ? startClusterEngine : startSentinelEngine;

const report = (line: string) => void process.stdout.write(`chaos: ${line}\n`);

describeWith(['redis-server'], 'a cluster under faults', () => {
  const disposals: (() => Promise<unknown>)[] = [];
  afterAll(async () => {
    for (const dispose of disposals.reverse()) await dispose();
  });

  // The last round, the end of all servers, and the judgment: a tenth of the time is for that alone.
  const timeout = CHAOS_SECONDS * 1100 + 240_000;

  test('keeps every invariant', { timeout }, async () => {
    report(`seed ${CHAOS_SEED}, ${CHAOS_SECONDS} s; CHAOS_SEED and CHAOS_SECONDS set others`);
    const engine = await startEngine(NODES);
    disposals.push(() => engine.stop());
    const nodes = engine.urls.map((url, number) => {
      const env = {
        ...SERVER_SETTINGS,
        REDIS_URL: url,
        REDIS_REPLICAS_ACK: String(REPLICAS_ACK),
        LEASE_SECONDS: String(LEASE_SECONDS),
      };
      const node = new ServerNode(number, env, logPathOf(number));
      disposals.push(() => node.kill());
      return node;
    });
    await Promise.all(nodes.map((node) => node.start()));
    const verdict = await chaos(
      {
        nodes,
        engine,
        terrain: { nodes: NODES, leaseMs: LEASE_SECONDS * 1000, redis: true, failover: true },
        bounds: boundsFor({ leaseSeconds: LEASE_SECONDS, heartbeatSeconds: HEARTBEAT_SECONDS }),
      },
      { seed: CHAOS_SEED, seconds: CHAOS_SECONDS, pairs: CHAOS_PAIRS, report },
    );
    expect(verdict.violations.map(({ rule, what }) => `${rule}: ${what}`)).toEqual([]);
  });
});
