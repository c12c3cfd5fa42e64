// npm run test:nodes: runs the test suite on this Node version and on the other release lines, each in a copy of the checkout. Passes its arguments
// to npm test.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { NODE_LINES, nodeRelease } from './node-release.js';
import { ROOT } from './prepare.js';

const results = [process.versions.node, ...NODE_LINES].map((version) => {
  const folder = mkdtempSync(join(tmpdir(), `couplet-node-${version}-`));
  try {
    return `Node ${version}: ${testOn(version, folder) ? 'passed' : 'failed'}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
for (const result of results) console.log(result);
process.exit(results.every((result) => result.endsWith('passed')) ? 0 : 1);

/** Whether the suite passes on this version. The copy installs and builds by itself; the checkout is not changed. */
function testOn(version, folder) {
  const checkout = join(folder, 'checkout');
  mkdirSync(checkout);

  // Includes uncommitted files, so that a change can be tested before it is committed.
  const { stdout } = spawnSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  // Git still lists a file if its deletion is not committed.
  for (const file of stdout.split('\0').filter((name) => name && existsSync(join(ROOT, name)))) {
    mkdirSync(dirname(join(checkout, file)), { recursive: true });
    copyFileSync(join(ROOT, file), join(checkout, file));
  }
  // Some tests list the files of the repository with git.
  if (!ran('git', ['init', '--quiet'], { cwd: checkout })) return false;
  if (!ran('git', ['add', '--all'], { cwd: checkout })) return false;

  // The npm variables of this process describe another Node version.
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    PATH: [nodeRelease(version, folder), process.env.PATH].join(delimiter),
    npm_config_prefer_offline: 'true',
  };
  ran('node', ['--version'], { cwd: checkout, env });
  return ran('npm', ['test', '--', ...process.argv.slice(2)], { cwd: checkout, env });
}

function ran(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error) console.error(`${command}: ${error.message}`);
  return status === 0;
}
