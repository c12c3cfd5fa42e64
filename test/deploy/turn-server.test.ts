// turn-server/: the published settings, and a real coturn that starts for nobody but an operator with a password.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { describeWith } from '../../packages/server/test/support/components.js';
import { temporaryFolder } from '../../packages/server/test/support/server.js';
import { ROOT, run } from '../support.js';
import { freePort, startProgram } from './proxy.js';

const settings = readFileSync(`${ROOT}turn-server/turnserver.conf`, 'utf8');
const start = `${ROOT}turn-server/start.sh`;
const folder = temporaryFolder();

test('the settings are the published ones, without a user', () => {
  for (const line of [
    'lt-cred-mech',
    'listening-port=3478',
    'tls-listening-port=5349',
    'min-port=49152',
    'max-port=65535',
  ]) {
    expect(settings.split('\n')).toContain(line);
  }
  expect(settings).not.toMatch(/^(user|no-auth|static-auth-secret|allow-loopback-peers)/m);
});

test.each([
  [{}, /TURN_USERNAME is not set/],
  [{ TURN_USERNAME: 'couplet' }, /TURN_PASSWORD has fewer than 16/],
  [{ TURN_USERNAME: 'couplet', TURN_PASSWORD: 'changeme' }, /TURN_PASSWORD has fewer than 16/],
  [{ TURN_USERNAME: 'a\nno-auth', TURN_PASSWORD: 'x'.repeat(16) }, /take letters/],
])('with %j it does not start', (env, line) => {
  const { PATH } = process.env;
  const { status, stderr } = spawnSync('sh', [start], { env: { PATH, ...env }, encoding: 'utf8' });
  expect(status).toBe(1);
  expect(stderr).toMatch(line);
});

describeWith(['turnserver'], 'coturn', () => {
  test('starts with the operator’s password, which no command line shows', async () => {
    const port = await freePort();
    const path = join(folder, 'turnserver.conf');
    // For this test only: other ports, on loopback.
    writeFileSync(
      path,
      settings
        .replace(
          '=3478',
          `=${port}\nlistening-ip=127.0.0.1\nrelay-ip=127.0.0.1\npidfile=${folder}/pid`,
        )
        .replace('tls-listening-port=5349', 'no-tls\nno-dtls'),
    );
    const password = 'correct-horse-battery';
    const { pid, stop } = await startProgram('sh', [start], port, {
      TURNSERVER_CONF: path,
      TURN_USERNAME: 'couplet',
      TURN_PASSWORD: password,
      TURN_REALM: 'turn.example.com',
      TMPDIR: folder,
    });
    onTestFinished(stop);
    const commandLine = run('ps', ['-o', 'args=', '-p', String(pid)]).stdout;
    expect(commandLine).toMatch(/^turnserver /);
    expect(commandLine).not.toContain(password);
  });
});
