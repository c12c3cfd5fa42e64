// Runs what docs/deploy.md shows: the settings that its commands write, the server and coturn of the units, and the Caddyfile.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { parseConfig } from '../../packages/server/src/settings/config.js';
import { parseDotEnv } from '../../packages/server/src/settings/environment.js';
import { blocks, ROOT, read } from '../support.js';

const page = read('docs/deploy.md');
const folder = temporaryFolder();
const NAME = 'chat.example.org';

/** Runs the command that writes a file of settings, and returns the settings. */
function settingsOf(heading: string, file: string): Record<string, string> {
  const block = blocks(page.slice(page.indexOf(heading)), 'sh').find((one) =>
    one.includes('<<EOF'),
  );
  const command = block?.match(/^install [\s\S]*?^EOF$/m)?.[0] ?? '';
  const target = join(folder, file.replaceAll('/', '-'));
  expect(command).toContain(` ${file} <<EOF`);
  execFileSync('sh', ['-ec', command.replace(` ${file} `, ` ${target} `)], {
    env: { PATH: process.env.PATH, NAME },
  });
  expect(statSync(target).mode & 0o777).toBe(0o600);
  return parseDotEnv(readFileSync(target)) as Record<string, string>;
}

/** The lines of a unit, by name. */
const unit = (name: string) =>
  new Map(
    Array.from(read(`deploy/${name}`).matchAll(/^(\w+)=(.*)$/gm), ([, key = '', value = '']) => [
      key,
      value,
    ]),
  );

const ofSystemd = () => settingsOf('## With systemd', '/etc/couplet.env');

test('the settings for systemd and for compose are valid, and differ only in the address', () => {
  const { HOST, ...forSystemd } = ofSystemd();
  const { PUBLISH_ON, ...forCompose } = settingsOf('## With Docker Compose', '.env');
  expect([HOST, PUBLISH_ON]).toEqual(['127.0.0.1', '127.0.0.1:']);
  expect(Object.keys(forSystemd)).toEqual(Object.keys(forCompose));
  const config = parseConfig({ ...forSystemd, USE_SQLITE: '1' });
  expect(config).toMatchObject({
    allowedHosts: NAME,
    turnUrls: [expect.any(String), expect.any(String)],
  });
  expect(config.adminToken).toMatch(/^[0-9a-f]{48}$/);
  expect(config.turnSecrets[0]).not.toBe(config.adminToken);
});

test('the unit starts the server, and SIGTERM ends it with exit code 0', async () => {
  const service = unit('couplet.service');
  const [node, main = '', ...args] = String(service.get('ExecStart')).split(' ');
  expect(node).toBe('/usr/bin/node');
  const settings = Object.fromEntries(
    String(service.get('Environment'))
      .split(' ')
      .map((pair) => pair.split('=') as [string, string]),
  );
  expect(settings.SQLITE_DB_PATH).toBe(`${service.get('WorkingDirectory')}/chat.db`);
  expect(service.get('WorkingDirectory')).toBe(`/var/lib/${service.get('StateDirectory')}`);
  const cwd = temporaryFolder();
  const command = startCommand(args, {
    cwd,
    main: main.replace('/opt/couplet/', ROOT),
    env: { ...settings, ...ofSystemd(), SQLITE_DB_PATH: join(cwd, 'chat.db') },
  });
  const url = await command.listening;
  await expect.poll(async () => (await fetch(`${url}/readyz`)).status).toBe(200);
  expect((await fetch(`${url}/metrics`)).status).toBe(401);
  command.child.kill('SIGTERM');
  expect((await command.ended).code).toBe(0);
});

test('the unit of coturn starts a script that accepts the settings', () => {
  const script = String(unit('couplet-turn.service').get('ExecStart')).replace(
    '/opt/couplet/',
    ROOT,
  );
  expect(existsSync(script)).toBe(true);
  // A program in place of coturn prints its configuration.
  const bin = temporaryFolder();
  writeFileSync(join(bin, 'turnserver'), '#!/bin/sh\ncat "$2"\n', { mode: 0o700 });
  const settings = ofSystemd();
  const { stdout, status } = spawnSync(script, [], {
    env: { ...settings, TMPDIR: bin, PATH: `${bin}:${process.env.PATH}` },
    encoding: 'utf8',
  });
  expect(status).toBe(0);
  expect(stdout).toContain(`realm=${NAME}`);
  expect(stdout).toContain(`static-auth-secret=${settings.TURN_SECRET}`);
});

describeWith(['caddy'], 'the proxy', () => {
  test('Caddy accepts the file that sed writes', () => {
    const command = page.match(/sed .* deploy\/Caddyfile/)?.[0] ?? '';
    const file = execFileSync('sh', ['-ec', command], {
      cwd: ROOT,
      env: { PATH: process.env.PATH, NAME },
      encoding: 'utf8',
    });
    expect(file).toContain(`\n${NAME} {\n`);
    const target = join(folder, 'Caddyfile');
    writeFileSync(target, file);
    execFileSync('caddy', ['adapt', '--config', target, '--adapter', 'caddyfile', '--validate'], {
      stdio: 'pipe',
    });
  });
});
