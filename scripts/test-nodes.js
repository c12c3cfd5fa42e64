// npm run test:nodes: the whole suite on other Node lines, each from a fresh copy of the checkout; arguments go to npm test.
import { spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { ROOT } from './prepare.js';

/** Node's release lines beside the oldest, which the plain `npm test` is for. */
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

/** Whether the suite passes there. Nothing of the checkout is written: the copy installs and builds for itself. */
function testOn(line, folder) {
  const home = join(folder, 'node');
  const checkout = join(folder, 'checkout');
  mkdirSync(home);
  mkdirSync(checkout);
  const nodePackage = `node-${process.platform}-${process.arch}`;
  const install = ['install', '--no-save', '--ignore-scripts', '--no-audit', '--no-fund'];
  if (!ran('npm', [...install, '--prefix', home, `${nodePackage}@${line}`])) return false;
  const release = join(home, 'node_modules', nodePackage);

  // Also what is not committed yet, so that a change can be tried on every line first.
  const { stdout } = spawnSync('git', ['ls-files', '-z', '-co', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  // A file that is deleted but not committed so is still listed.
  for (const file of stdout.split('\0').filter((name) => name && existsSync(join(ROOT, name)))) {
    mkdirSync(dirname(join(checkout, file)), { recursive: true });
    copyFileSync(join(ROOT, file), join(checkout, file));
  }
  // Some tests ask git what belongs to the repository.
  if (!ran('git', ['init', '--quiet'], { cwd: checkout })) return false;
  if (!ran('git', ['add', '--all'], { cwd: checkout })) return false;

  // What npm told the scripts of this run is about another Node.
  const inherited = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const env = {
    ...Object.fromEntries(inherited),
    PATH: [join(release, 'bin'), process.env.PATH].join(delimiter),
    // The package has the headers too: the native add-on is compiled against its own Node.
    npm_config_nodedir: release,
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
