// Installs releases of Node.js from npm, for the tests on every supported line.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** The release lines that are tested besides the oldest supported version. */
export const NODE_LINES = ['22', '24', '26'];

/**
 * Returns the `bin` folder of the newest release of a line such as `22`, or of an exact version.
 *
 * @param {string} version
 * @param {string} folder - where releases are installed; kept, it saves the next download
 */
export function nodeRelease(version, folder) {
  const home = join(folder, version);
  const name = `node-${process.platform}-${process.arch}`;
  const bin = join(home, 'node_modules', name, 'bin');
  if (existsSync(bin)) return bin;
  mkdirSync(folder, { recursive: true });
  // Two processes may install the same release. The first one moves it to its place.
  const own = mkdtempSync(`${home}-`);
  const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefer-offline'];
  const args = ['install', ...options, '--prefix', own, `${name}@${version}`];
  const { status, stderr, error } = spawnSync('npm', args, { encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ${error?.message ?? stderr}`);
  try {
    renameSync(own, home);
  } catch (error) {
    rmSync(own, { recursive: true });
    if (!existsSync(bin)) throw error;
  }
  return bin;
}
