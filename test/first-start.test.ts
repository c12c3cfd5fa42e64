// npm start in a fresh checkout, at a terminal, without a compiler, on the oldest and the newest Node.js: what a person sees.
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { freePort } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { describe, expect, onTestFinished, test } from 'vitest';
import { NODE_LINES, nodeRelease } from '../scripts/node-release.js';
import { runProgram } from './support/terminal.js';
import { ROOT, repositoryFiles, run } from './support.js';

const folder = temporaryFolder();
const { engines } = JSON.parse(readFileSync(`${ROOT}packages/server/package.json`, 'utf8'));
const OLDEST = engines.node.replace('>=', '');
const CTRL_C = '\x03';

/** Copies the files of the repository, new ones included, to an empty folder. */
function freshCheckout(name: string): string {
  const checkout = join(folder, name);
  for (const file of repositoryFiles().filter((path) => existsSync(ROOT + path))) {
    mkdirSync(dirname(join(checkout, file)), { recursive: true });
    copyFileSync(ROOT + file, join(checkout, file));
  }
  return checkout;
}

/** A folder for PATH with Node.js of this version, npm and a shell: no compiler, make or Python. */
function programs(version: string): string {
  const bin = join(folder, `${version}-bin`);
  mkdirSync(bin);
  const found = (name: string) => realpathSync(run('which', [name]).stdout.trim());
  symlinkSync(
    join(nodeRelease(version, `${ROOT}node_modules/.node-releases`), 'node'),
    join(bin, 'node'),
  );
  for (const name of ['npm', 'sh']) symlinkSync(found(name), join(bin, name));
  return bin;
}

/** Runs a command on a pseudo-terminal. */
const atTerminal = (command: string, cwd: string, env: Record<string, string>) =>
  runProgram(
    '/usr/bin/script',
    ['-qefc', command, '/dev/null'],
    { SHELL: '/bin/sh', TERM: 'xterm', HOME: process.env.HOME, ...env },
    { cwd },
  );

describe.runIf(process.platform === 'linux').each([OLDEST, NODE_LINES.at(-1) as string])(
  'on Node %s',
  (version) => {
    test('a first start shows its progress, the addresses and how to stop; Ctrl+C frees the port', {
      timeout: 600_000,
    }, async () => {
      const checkout = freshCheckout(version);
      onTestFinished(() => rmSync(checkout, { recursive: true, force: true }));
      const env = { PATH: programs(version), npm_config_prefer_offline: 'true' };
      const startedAt = performance.now();
      const seconds = () => ((performance.now() - startedAt) / 1000).toFixed(1);
      // Not a port of the system's choice, which another process could get after the end.
      const port = await freePort();
      const terminal = atTerminal(`exec npm start -- --port ${port}`, checkout, env);

      await terminal.shows(/first start only: installing packages \d+ of \d+/);
      const url = await terminal.shows(/This machine: {2}(http:\/\/localhost:\d+\/demo\/)/);
      const demo = await fetch(url);
      expect([demo.status, await demo.text()]).toEqual([200, expect.stringMatching('<title>')]);
      process.stdout.write(`npm start on Node ${version}: the demo answers after ${seconds()} s\n`);

      await terminal.shows(/Your network: {2}http:\/\/[\d.]+:\d+\/demo\/|has no network address/);
      if (!terminal.output().includes('has no network address')) {
        await terminal.shows(/[█▀▄]{5}/);
        await terminal.shows(/Scan the code with a phone/);
      }
      await terminal.shows(/STUN and TURN are not configured: only devices on the same network/);
      await terminal.shows(/Ctrl\+C stops the server\./);

      terminal.type(CTRL_C);
      // Ctrl+C also ends the shell that npm runs the script with, and npm then reports that signal.
      expect([0, 130]).toContain(await terminal.ended);
      expect(terminal.output()).toMatch(/Stopping/);
      // Neither lines of requests nor warnings or JSON.
      expect(terminal.output()).not.toMatch(/WARN|ERROR|INFO|"level"|healthz|request/);
      const again = createServer().listen(port, '0.0.0.0');
      await once(again, 'listening');
      again.close();

      const second = atTerminal('exec node scripts/start.js --port 0', checkout, env);
      await second.shows(/Ctrl\+C stops the server\./);
      second.type(CTRL_C);
      expect(await second.ended).toBe(0);
      expect(second.output()).not.toContain('installing');
    });
  },
);
