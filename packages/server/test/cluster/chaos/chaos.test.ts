// Nodes and pairs under all kinds of faults: the invariants hold, and all pairs are served ten seconds after the last fault.
import { join } from 'node:path';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { chaos, report } from './chaos.js';
import { type Engine, REPLICAS_ACK, startEngine } from './redis.js';
import { ServerNode } from './server-node.js';
import {
  CHAOS_HISTORY,
  CHAOS_PAIRS,
  CHAOS_REDIS,
  CHAOS_SECONDS,
  LEASE_SECONDS,
  SERVER_SETTINGS,
} from './settings.js';

/** Starts a node for each environment, runs the chaos, and expects no violation. */
async function endure(
  envs: readonly Record<string, string>[],
  run: { engine: Engine | undefined; seconds: number; pairs: number },
): Promise<void> {
  const nodes = envs.map((env, number) => {
    const log = CHAOS_HISTORY === '' ? '' : `${CHAOS_HISTORY}.node-${number}.log`;
    return new ServerNode(number, { ...SERVER_SETTINGS, ...env }, log);
  });
  for (const node of nodes) onTestFinished(() => node.kill());
  await Promise.all(nodes.map((node) => node.start()));
  const { violations } = await chaos({ nodes, ...run });
  expect(violations.map(({ rule, what }) => `${rule}: ${what}`)).toEqual([]);
}

/** The last round, the end of all servers and the checker take a tenth of the time, and a few minutes on a busy machine. */
const timeoutFor = (seconds: number) => ({ timeout: seconds * 1100 + 240_000 });

describeWith(['redis-server'], 'a cluster under faults', () => {
  test('keeps every invariant', timeoutFor(CHAOS_SECONDS), async () => {
    report(`three nodes, ${CHAOS_REDIS}`);
    const engine = await startEngine(CHAOS_REDIS, 3);
    onTestFinished(() => engine.stop());
    const shared = {
      REDIS_REPLICAS_ACK: String(REPLICAS_ACK),
      LEASE_SECONDS: String(LEASE_SECONDS),
    };
    const envs = engine.urls.map((url) => ({ REDIS_URL: url, ...shared }));
    await endure(envs, { engine, seconds: CHAOS_SECONDS, pairs: CHAOS_PAIRS });
  });
});

const folder = temporaryFolder();

test('one server with SQLite keeps every invariant', timeoutFor(CHAOS_SECONDS), async () => {
  report('one server with SQLite');
  const env = { USE_SQLITE: '1', SQLITE_DB_PATH: join(folder, 'chat.db') };
  // It has fewer kinds of faults than a cluster.
  const run = { seconds: CHAOS_SECONDS / 4, pairs: Math.ceil(CHAOS_PAIRS / 4) };
  await endure([env], { engine: undefined, ...run });
});
