// Installs the locked dependencies and builds the checkout before a command runs, each only if needed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { buildPages } from './pages.js';
import { bundleTypebox } from './typebox.js';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
const STAMP = `${ROOT}node_modules/.prepared`;

/** Runs a command in the checkout. If it fails, exits with its exit code. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', ...options });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** Installs dependencies and builds packages and pages, if missing or stale. */
export async function prepare() {
  install();
  compile();
  await bundleTypebox();
  await buildPages();
}

/** Compiles the packages that are stale. */
export function compile() {
  run(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, '-b']);
}

function install() {
  const wanted = createHash('sha256')
    .update(readFileSync(`${ROOT}package-lock.json`))
    .digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  run('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
    shell: process.platform === 'win32',
  });
  writeFileSync(STAMP, wanted);
}
