// The compose files: accepted by Compose with and without a .env, and in step with the settings and the Dockerfile.
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { SETTINGS } from '../../packages/server/src/platform/config.js';
import { describeWith } from '../../packages/server/test/support/components.js';
import { composeServices, type Service } from '../../packages/server/test/support/compose.js';
import { temporaryFolder } from '../../packages/server/test/support/server.js';
import { ROOT, run } from '../support.js';

const folder = temporaryFolder();

test('a .env reaches every setting but those that the container itself decides', () => {
  const inContainer = ['PORT', 'HOST', 'USE_SQLITE', 'SQLITE_DB_PATH'];
  const passed = [...SETTINGS.keys()].filter((setting) => !inContainer.includes(setting));
  const { environment = {} } = composeServices('docker-compose.yml').signaling ?? {};
  expect(Object.keys(environment).sort()).toEqual(passed.sort());
});

/** A file as Compose understands it, beside this .env. */
function configured(file: string, dotEnv?: string): Record<string, Service> {
  const cwd = mkdtempSync(join(folder, 'compose-'));
  for (const each of [file, 'docker-compose.services.yml']) {
    copyFileSync(ROOT + each, join(cwd, each));
  }
  if (dotEnv !== undefined) writeFileSync(join(cwd, '.env'), dotEnv);
  const env = { PATH: process.env.PATH };
  const { stdout } = run('docker-compose', ['-f', file, 'config'], { cwd, env });
  return parse(stdout.replaceAll(cwd, '.')).services;
}

/** Published port and port of the container; Compose has written them in more than one form. */
const portsOf = (service: Service | undefined) =>
  JSON.stringify(service?.ports).match(/\b\d{2,5}\b/g);

describeWith(['docker-compose'], 'docker-compose config', () => {
  const single = (dotEnv?: string) => configured('docker-compose.yml', dotEnv);

  test('without a .env, signaling is on 8080, closed to the curious, and its data in a volume', () => {
    const { signaling, coturn } = single();
    expect(signaling).toMatchObject({
      restart: 'unless-stopped',
      volumes: ['data:/data:rw'],
      environment: { PRODUCTION: '1', ADMIN_TOKEN: '' },
    });
    expect(portsOf(signaling)?.slice(-2)).toEqual(['8080', '8080']);
    expect(coturn).toMatchObject({ restart: 'unless-stopped', network_mode: 'host', init: true });
    expect(coturn?.environment).toMatchObject({ TURN_SECRET: '' });
  });

  test('a .env sets the port, the settings and the TURN secret', () => {
    const { signaling, coturn } = single('PORT=9000\nLOG_LEVEL=warn\nTURN_SECRET=s\n');
    expect(portsOf(signaling)?.slice(-2)).toEqual(['9000', '8080']);
    expect(signaling?.environment).toMatchObject({ LOG_LEVEL: 'warn' });
    expect(signaling?.environment).toMatchObject({ TURN_SECRET: 's' });
    expect(coturn?.environment).toMatchObject({ TURN_SECRET: 's' });
  });

  test('.env.example, as it stands, is a .env that changes nothing', () => {
    expect(single(readFileSync(`${ROOT}.env.example`, 'utf8'))).toEqual(single());
  });
});
