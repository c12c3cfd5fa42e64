// npm test: runs lint, the type check, and all tests with coverage. The last line has the counts.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureComponents } from './components.js';
import { prepare, ROOT } from './prepare.js';

await prepare();
const { missing, command } = ensureComponents();
const strict = process.env.CI === 'true';

const bin = (path) => `${ROOT}node_modules/${path}`;
const node = (args, env = {}) =>
  spawnSync(process.execPath, args, {
    cwd: ROOT,
    stdio: 'inherit',
    env: { ...process.env, ...env },
  }).status === 0;

const folder = mkdtempSync(join(tmpdir(), 'couplet-test-'));
const report = join(folder, 'report.json');
const args = process.argv.slice(2);
const wholeSuite = args.length === 0;
const checks = wholeSuite
  ? {
      lint: node([bin('@biomejs/biome/bin/biome'), 'check', '.']),
      types: node([bin('typescript/bin/tsc'), '-p', 'tsconfig.test.json']),
    }
  : {};
const tests = node(
  [
    bin('vitest/vitest.mjs'),
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
    ...(wholeSuite ? ['--coverage'] : args),
  ],
  { COUPLET_MISSING: missing.join(',') },
);

const counts = readReport();
const failedChecks = Object.entries(checks).filter(([, passed]) => !passed);
for (const [name] of failedChecks) console.log(`check failed: ${name}`);
// A run can fail although all tests pass: low coverage, or an error outside of a test.
let failed = counts.failed + failedChecks.length;
if (!tests && counts.failed === 0) failed += 1;
if (missing.length > 0) {
  console.log(`tests skipped because of missing ${missing.join(', ')}; to enable them: ${command}`);
  if (strict) failed += counts.skipped;
}
const passed = counts.passed + Object.keys(checks).length - failedChecks.length;
if (counts.skipped > 0) console.log(`skipped: ${counts.skipped}`);
console.log(`${passed} passed, ${failed} failed`);
process.exit(failed === 0 && (!strict || counts.skipped === 0) ? 0 : 1);

function readReport() {
  try {
    const { numPassedTests, numFailedTests, numPendingTests, numTodoTests } = JSON.parse(
      readFileSync(report, 'utf8'),
    );
    return {
      passed: numPassedTests,
      failed: numFailedTests,
      skipped: numPendingTests + numTodoTests,
    };
  } catch {
    // There is no report if the runner itself failed, which its exit status shows.
    return { passed: 0, failed: 0, skipped: 0 };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
