// npm run test:chaos: the faults of the tests for an hour. CHAOS_SECONDS, CHAOS_SEED and CHAOS_REDIS=cluster in the environment say otherwise.
import { ensureComponents } from './components.js';
import { prepare, ROOT, run } from './prepare.js';

await prepare();
const { missing } = ensureComponents();
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
    env: { CHAOS_SECONDS: '3600', ...process.env, COUPLET_MISSING: missing.join(',') },
  },
);
