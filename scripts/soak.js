// npm run test:soak: runs the fault tests with 500 rounds and prints their measurements. An argument sets the rounds.
import { spawnSync } from 'node:child_process';
import { ensureComponents } from './components.js';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { missing } = ensureComponents();
const rounds = process.argv[2] ?? '500';
const { status } = spawnSync(
  process.execPath,
  [
    `${ROOT}node_modules/vitest/vitest.mjs`,
    'run',
    '--reporter=verbose',
    'packages/server/test/faults',
  ],
  {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, COUPLET_KILL_ROUNDS: rounds, COUPLET_MISSING: missing.join(',') },
  },
);
process.exit(status ?? 1);
