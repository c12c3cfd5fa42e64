// Installs the locked dependencies and builds the checkout before a command runs, each only if needed.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('..', import.meta.url));
/** Holds what is installed: the hash of the lockfile, then `all` or `production`. */
const STAMP = `${ROOT}node_modules/.prepared`;

/** Runs a command in the checkout. If it fails, exits with its exit code. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit', ...options });
  if (error) console.error(`${command}: ${error.message}`);
  if (status !== 0) process.exit(status ?? 1);
}

/** Installs all dependencies and builds packages and pages, if missing or stale. */
export async function prepare() {
  await install('all');
  compile();
  await buildBundles();
}

/** Installs and builds only what a server needs. Types are not checked. */
export async function prepareServer() {
  await install('production');
  await buildServer();
}

/** Builds only what a server needs. Needs no development dependency. */
export async function buildServer() {
  const { transpile } = await import('./transpile.js');
  await transpile();
  await buildBundles();
}

/** Compiles the packages that are stale. */
export function compile() {
  run(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, '-b']);
}

/** Builds the files that are bundles, if stale. esbuild is loaded only here, because it may have just been installed. */
export async function buildBundles() {
  const { bundleTypebox } = await import('./typebox.js');
  const { bundleCommand } = await import('./command.js');
  const { buildPages } = await import('./pages.js');
  await bundleTypebox();
  await bundleCommand();
  await buildPages();
}

/** @param {'all' | 'production'} scope */
async function install(scope) {
  const lockfile = readFileSync(`${ROOT}package-lock.json`);
  const hash = createHash('sha256').update(lockfile).digest('hex');
  const [installed, present] = existsSync(STAMP) ? readFileSync(STAMP, 'utf8').split(' ') : [];
  if (installed === hash && (present === 'all' || scope === 'production')) return;
  // A checkout in which the tests or `npm ci` have run keeps the development dependencies.
  const wanted = existsSync(`${ROOT}node_modules/typescript`) ? 'all' : scope;
  const entries = Object.values(JSON.parse(lockfile).packages);
  const total = entries.filter(({ dev, link }) => !link && (wanted === 'all' || !dev)).length;
  await npmCi(wanted === 'all' ? [] : ['--omit=dev'], total);
  writeFileSync(STAMP, `${hash} ${wanted}`);
}

/** Installs, and reports on stderr how many packages npm has fetched. Its own log is shown only if it fails. */
async function npmCi(options, total) {
  const { stderr } = process;
  const title = 'first start only: installing packages';
  if (!stderr.isTTY) stderr.write(`${title}\n`);
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=http', ...options];
  const npm = spawn('npm', args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    shell: process.platform === 'win32',
  });
  let log = '';
  for (const stream of [npm.stdout, npm.stderr]) {
    stream.setEncoding('utf8').on('data', (text) => {
      log += text;
      const fetched = log.match(/http (fetch|cache) /g)?.length ?? 0;
      if (stderr.isTTY) stderr.write(`\r${title} ${Math.min(fetched, total)} of ${total}`);
    });
  }
  npm.on('error', ({ message }) => {
    log += message;
  });
  const [code] = await once(npm, 'close');
  if (stderr.isTTY) stderr.write('\n');
  if (code === 0) return;
  stderr.write(`${log}\nnpm ci failed\n`);
  process.exit(1);
}
