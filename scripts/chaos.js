// npm run test:chaos: runs the fault tests for an hour, or for CHAOS_SECONDS. CHAOS_SEED and CHAOS_REDIS=cluster are read from the environment.
import { ensureComponents } from './components.js';
import { prepare, ROOT, run } from './prepare.js';

await prepare();
const { missing } = ensureComponents();
const seconds = process.env.CHAOS_SECONDS || '3600';
run(
  process.execPath,
  // Every event of the hour is kept, for the checker.
  [
    '--max-old-space-size=8192',
    `${ROOT}node_modules/vitest/vitest.mjs`,
    'run',
    '--execArgv=--max-old-space-size=8192',
    'packages/server/test/cluster/chaos/chaos.test.ts',
  ],
  {
    env: { ...process.env, CHAOS_SECONDS: seconds, COUPLET_MISSING: missing.join(',') },
    // More than the test gives itself: this ends one that does not end.
    timeout: Number(seconds) * 1100 + 600_000,
    killSignal: 'SIGKILL',
  },
);
