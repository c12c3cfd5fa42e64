// npm start and npm run dev: they serve, and no process that they started outlives them.
import { join } from 'node:path';
import { freePort } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { runProgram } from './support/terminal.js';

const folder = temporaryFolder();

test.each([
  ['npm start', 'npm', ['start', '--'], 'SIGKILL', /\n/],
  ['npm start', 'npm', ['start', '--'], 'SIGTERM', /\n/],
  ['npm run dev', 'node', ['scripts/dev.js'], 'SIGINT', /Watching for file changes/],
  ['npm run dev', 'node', ['scripts/dev.js'], 'SIGTERM', /Watching for file changes/],
] as const)('%s: the server and all other processes end when %s %j gets %s', async (...row) => {
  const [title, program, args, signal, isReady] = row;
  const { HOME } = process.env;
  // Not a port of the system's choice, which another process could get after the end.
  const PORT = String(await freePort());
  const env = { HOME, HOST: '127.0.0.1', PORT, SQLITE_DB_PATH: join(folder, 'chat.db') };
  // Not SIGKILL, because the processes below could stay.
  const command = runProgram(program, args, env, { endBy: 'SIGTERM' });
  const url = await command.shows(/listening on (http:\/\/[^\s"]+)/);
  await command.shows(isReady);
  expect((await fetch(url)).status).toBe(200);
  command.child.kill(signal);
  const code = await command.ended;
  if (title === 'npm run dev') expect(code).toBe(0);
  expect(command.output()).toContain('"msg":"stopped"');
  await expect(fetch(url)).rejects.toThrow();
});
