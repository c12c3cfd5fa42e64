// npm run test:chaos: runs the chaos test for an hour, or for CHAOS_SECONDS. Also reads CHAOS_SEED and CHAOS_REDIS.
import { ensureComponents } from './components.js';
import { prepare, ROOT, run } from './prepare.js';

await prepare();
const { missing } = ensureComponents();
const seconds = process.env.CHAOS_SECONDS || '3600';
run(
  process.execPath,
  // A large heap, because the checker needs every event of the run.
  [
    '--max-old-space-size=8192',
    `${ROOT}node_modules/vitest/vitest.mjs`,
    'run',
    '--execArgv=--max-old-space-size=8192',
    'packages/server/test/cluster/chaos/chaos.test.ts',
  ],
  {
    env: { ...process.env, CHAOS_SECONDS: seconds, COUPLET_MISSING: missing.join(',') },
    // Longer than the test's own timeout. Kills a run that hangs.
    timeout: Number(seconds) * 1100 + 600_000,
    killSignal: 'SIGKILL',
  },
);
