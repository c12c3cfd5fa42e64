// npm start: it serves, and the death of npm leaves no process behind.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePort } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './support.js';

const folder = temporaryFolder();

test.each(['SIGKILL', 'SIGTERM'] as const)('the server ends when npm gets %s', async (signal) => {
  const { PATH, HOME } = process.env;
  const env = { PATH, HOME, HOST: '127.0.0.1', SQLITE_DB_PATH: join(folder, 'chat.db') };
  // Not a port of the system's choice, which another process could get after the end.
  const port = String(await freePort());
  const npm = spawn('npm', ['start', '--', '--port', port], {
    cwd: ROOT,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void npm.kill('SIGKILL'));
  // The output ends when the last process that could write to it has ended, at any depth.
  const closed = once(npm, 'close');
  let said = '';
  const url = await new Promise<string>((resolve) => {
    npm.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const address = /listening on (http:\/\/[^\s"]+)/.exec(said)?.[1];
      if (address !== undefined) resolve(address);
    });
  });
  expect((await fetch(`${url}/demo/`)).status).toBe(200);
  npm.kill(signal);
  await closed;
  expect(said).toContain('"msg":"stopped"');
  await expect(fetch(url)).rejects.toThrow();
});
