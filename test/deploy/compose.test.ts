// docker-compose.yml: accepted by Compose with and without a .env, and in step with the settings and the Dockerfile.
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { SETTINGS } from '../../packages/server/src/platform/config.js';
import { describeWith } from '../../packages/server/test/support/components.js';
import { temporaryFolder } from '../../packages/server/test/support/server.js';
import { ROOT, run } from '../support.js';

interface Service {
  environment: Record<string, string>;
  ports?: unknown[];
  volumes?: unknown[];
  restart?: string;
  network_mode?: string;
}

const folder = temporaryFolder();

test('a .env reaches every setting but those that the container itself decides', () => {
  const { services } = parse(readFileSync(`${ROOT}docker-compose.yml`, 'utf8'), { merge: true });
  const inContainer = ['PORT', 'HOST', 'USE_SQLITE', 'SQLITE_DB_PATH'];
  const passed = [...SETTINGS.keys()].filter((name) => !inContainer.includes(name));
  expect(Object.keys(services.signaling.environment).sort()).toEqual(passed.sort());
});

describeWith(['docker-compose'], 'docker-compose config', () => {
  /** The file as Compose understands it, beside this .env. */
  function configured(dotEnv?: string): { services: Record<'signaling' | 'coturn', Service> } {
    const cwd = mkdtempSync(join(folder, 'compose-'));
    copyFileSync(`${ROOT}docker-compose.yml`, join(cwd, 'docker-compose.yml'));
    if (dotEnv !== undefined) writeFileSync(join(cwd, '.env'), dotEnv);
    const env = { PATH: process.env.PATH };
    const { stdout } = run('docker-compose', ['config'], { cwd, env });
    return parse(stdout.replaceAll(cwd, '.'));
  }

  /** Published port and port of the container; Compose has written them in more than one form. */
  const portsOf = ({ ports }: Service) =>
    JSON.stringify(ports)
      .match(/\b\d{4,5}\b/g)
      ?.slice(-2);

  test('without a .env, signaling is on 8080, closed to the curious, and its data in a volume', () => {
    const { signaling, coturn } = configured().services;
    expect(signaling).toMatchObject({
      restart: 'unless-stopped',
      volumes: ['data:/data:rw'],
      environment: { PRODUCTION: '1', ADMIN_TOKEN: '' },
    });
    expect(portsOf(signaling)).toEqual(['8080', '8080']);
    expect(coturn).toMatchObject({ restart: 'unless-stopped', network_mode: 'host', init: true });
    expect(coturn.environment).toMatchObject({ TURN_SECRET: '' });
  });

  test('a .env sets the port, the settings and the TURN secret', () => {
    const { signaling, coturn } = configured('PORT=9000\nLOG_LEVEL=warn\nTURN_SECRET=s\n').services;
    expect(portsOf(signaling)).toEqual(['9000', '8080']);
    expect(signaling.environment).toMatchObject({ LOG_LEVEL: 'warn' });
    expect(signaling.environment).toMatchObject({ TURN_SECRET: 's' });
    expect(coturn.environment).toMatchObject({ TURN_SECRET: 's' });
  });

  test('.env.example, as it stands, is a .env that changes nothing', () => {
    expect(configured(readFileSync(`${ROOT}.env.example`, 'utf8'))).toEqual(configured());
  });
});
