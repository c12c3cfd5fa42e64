// npm run turn: starts a local coturn from `.env`, or prints example settings without one (docs/turn.md, "Development").
import { mkdtempSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { answersBinding, freePort, TURN_FOLDER } from '@couplet/testkit/coturn';
import { eventually } from '@couplet/testkit/eventually';
import { temporaryFolder } from '@couplet/testkit/server';
import { connect, minted, SECRET } from '@couplet/testkit/turn-fixture';
import { expect, onTestFinished, test } from 'vitest';
import { parseConfig } from '../../src/settings/config.js';

const main = join(TURN_FOLDER, '../scripts/turn.js');
const folder = temporaryFolder();

/** Runs the command in a new folder with this `.env`. */
function run(settings: Record<string, string>, ...args: string[]) {
  const cwd = mkdtempSync(join(folder, 'turn-'));
  const TMPDIR = mkdtempSync(join(folder, 'tmp-'));
  const lines = Object.entries(settings).map(([name, value]) => `${name}=${value}\n`);
  if (lines.length > 0) writeFileSync(join(cwd, '.env'), lines.join(''));
  const { child, ended } = startCommand(args, { cwd, main, env: { TMPDIR } });
  // Not SIGKILL, because the command could not stop coturn then.
  onTestFinished(async () => {
    child.kill('SIGTERM');
    await ended;
  });
  const outcome = ended.then(({ code, stdout, stderr }) => ({ code, output: stdout + stderr }));
  return { child, ended: outcome, left: () => readdirSync(TMPDIR) };
}

test('without settings, it prints valid settings with a new secret each time', async () => {
  const secrets: string[] = [];
  for (let n = 0; n < 2; n++) {
    const { code, output } = await run({}).ended;
    expect(code).toBe(1);
    const config = parseConfig(parseEnv(output.match(/^\w+=.*$/gm)?.join('\n') ?? '') as never);
    expect(config.turnUrls).toHaveLength(2);
    secrets.push(...config.turnSecrets);
  }
  expect(new Set(secrets).size).toBe(2);
});

test('with unsuitable settings, it names each and starts nothing', async () => {
  const { ended, left } = run({ TURN_SECRET: 'too-short-secret-', TURN_TTL_SECONDS: '1' });
  const { code, output } = await ended;
  expect(code).toBe(1);
  expect(output).toContain('TURN_TTL_SECONDS');
  expect(output).toContain('TURN_URLS');
  expect(output).not.toContain('too-short-secret-');
  expect(left()).toEqual([]);
});

describeWith(['turnserver'], 'npm run turn', () => {
  test('starts coturn with the .env, allows peers on this machine, and leaves no files behind', async () => {
    const port = await freePort();
    const firstRelayPort = await freePort(10);
    const { child, ended, left } = run(
      {
        TURN_SECRET: SECRET,
        TURN_URLS: `turn:127.0.0.1:${port}`,
        TURN_PORT: String(port),
        TURN_TLS_PORT: String(await freePort()),
        TURN_LISTEN_IPS: '127.0.0.1',
        TURN_MIN_PORT: String(firstRelayPort),
        TURN_MAX_PORT: String(firstRelayPort + 9),
      },
      '--allow-loopback',
    );
    await Promise.race([
      // The script may have to build first.
      eventually(() => answersBinding(port)),
      ended.then(({ output }) => Promise.reject(new Error(output))),
    ]);
    const client = await connect({ port }, minted());
    const { relayed } = await client.allocate();
    expect(relayed.port).toBeGreaterThanOrEqual(firstRelayPort);
    await client.createPermission('127.0.0.1');

    child.kill('SIGTERM');
    const { code, output } = await ended;
    expect(code, output).toBe(0);
    expect(output).not.toContain(SECRET);
    expect(left(), 'no file with secrets remains').toEqual([]);
  });
});
