// npm run test:fuzz: the fuzz of the tests for ten minutes. FUZZ_SECONDS and FUZZ_SEED in the environment say otherwise.
import { prepare, ROOT, run } from './prepare.js';

await prepare();
run(
  process.execPath,
  [`${ROOT}node_modules/vitest/vitest.mjs`, 'run', 'packages/server/test/fuzz'],
  {
    env: { FUZZ_SECONDS: '600', ...process.env },
  },
);
