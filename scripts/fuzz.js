// npm run test:fuzz: runs the fuzz tests for ten minutes, or for FUZZ_SECONDS. Also reads FUZZ_SEED.
import { prepare, ROOT, run } from './prepare.js';

await prepare();
run(
  process.execPath,
  [`${ROOT}node_modules/vitest/vitest.mjs`, 'run', 'packages/server/test/fuzz'],
  {
    env: { FUZZ_SECONDS: '600', ...process.env },
  },
);
