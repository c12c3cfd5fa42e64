// npm start and npm run dev: they serve, and no process that they started outlives them.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { freePort } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { ROOT } from './support.js';

const folder = temporaryFolder();

test.each([
  ['npm start', 'npm', ['start', '--'], 'SIGKILL', /\n/],
  ['npm start', 'npm', ['start', '--'], 'SIGTERM', /\n/],
  ['npm run dev', 'node', ['scripts/dev.js'], 'SIGINT', /Watching for file changes/],
  ['npm run dev', 'node', ['scripts/dev.js'], 'SIGTERM', /Watching for file changes/],
] as const)('%s: the server and all other processes end when %s %j gets %s', async (...row) => {
  const [title, program, args, signal, isReady] = row;
  const { PATH, HOME } = process.env;
  // Not a port of the system's choice, which another process could get after the end.
  const PORT = String(await freePort());
  const database = { SQLITE_DB_PATH: join(folder, 'chat.db') };
  const child = spawn(program, [...args], {
    cwd: ROOT,
    env: { PATH, HOME, HOST: '127.0.0.1', PORT, ...database },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  onTestFinished(() => void child.kill('SIGTERM'));
  // The output ends when the last process that could write to it has ended, at any depth.
  const closed = once(child, 'close');
  let said = '';
  const url = await new Promise<string>((resolve) => {
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      const address = /listening on (http:\/\/[^\s"]+)/.exec(said)?.[1];
      if (address !== undefined && isReady.test(said)) resolve(address);
    });
  });
  expect((await fetch(url)).status).toBe(200);
  child.kill(signal);
  const [code] = await closed;
  if (title === 'npm run dev') expect(code).toBe(0);
  expect(said).toContain('"msg":"stopped"');
  await expect(fetch(url)).rejects.toThrow();
});
