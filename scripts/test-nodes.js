// npm run test:nodes: runs the test suite on other Node release lines, each in a copy of the checkout. Passes its arguments
// to npm test.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from './prepare.js';

/** The supported Node release lines, except the oldest, which `npm test` covers. */
const LINES = ['22', '24'];

const results = LINES.map((line) => {
  const folder = mkdtempSync(join(tmpdir(), `couplet-node-${line}-`));
  try {
    return `Node ${line}: ${testOn(line, folder) ? 'passed' : 'failed'}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
for (const result of results) console.log(result);
process.exit(results.every((result) => result.endsWith('passed')) ? 0 : 1);

/** Whether the suite passes on this line. The copy installs and builds by itself; the checkout is not changed. */
function testOn(line, folder) {
  const home = join(folder, 'node');
  const checkout = join(folder, 'checkout');
  mkdirSync(home);
  mkdirSync(checkout);
  const nodePackage = `node-${process.platform}-${process.arch}`;
  const install = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  if (!ran('npm', [...install, '--prefix', home, `${nodePackage}@${line}`])) return false;
  const release = join(home, 'node_modules', nodePackage);

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
    PATH: [join(release, 'bin'), process.env.PATH].join(delimiter),
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
