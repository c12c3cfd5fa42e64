// The compose files are valid with and without a .env, and match the settings and the Dockerfile.
import { copyFileSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describeWith } from '@couplet/testkit/components';
import { composeServices, type Service } from '@couplet/testkit/compose';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { parseConfig, SETTINGS } from '../../packages/server/src/settings/config.js';
import { parseDotEnv } from '../../packages/server/src/settings/environment.js';
import { ROOT, run } from '../support.js';

const folder = temporaryFolder();
const CLUSTER = 'docker-compose.cluster.yml';

test.each([
  ['docker-compose.yml', 'signaling'],
  [CLUSTER, 'node1'],
])('%s: a .env sets every setting except those that the container itself sets', (file, name) => {
  const inContainer = ['PORT', 'HOST', 'USE_SQLITE', 'SQLITE_DB_PATH'];
  const passed = [...SETTINGS.keys()].filter((setting) => !inContainer.includes(setting));
  const { environment = {} } = composeServices(file)[name] ?? {};
  expect(Object.keys(environment).sort()).toEqual(passed.sort());
});

/** Variables that every .env of a cluster has. */
const PASSWORD = 'REDIS_PASSWORD=0123456789abcdef\n';

/** A file as Compose parses it, with this .env. */
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

/** Published port and container port; Compose has written them in more than one form. */
const portsOf = (service: Service | undefined) =>
  JSON.stringify(service?.ports).match(/\b\d{2,5}\b/g);

describeWith(['docker-compose'], 'docker-compose config', () => {
  const single = (dotEnv?: string) => configured('docker-compose.yml', dotEnv);

  test('without a .env, signaling is on 8080, operator routes are closed, and its data is in a volume', () => {
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

  test('a .env sets the address and the port of the host, the settings and the TURN secret', () => {
    const address = 'PUBLISH_ON=10.0.0.11:\nPORT=9000\n';
    const { signaling, coturn } = single(`${address}LOG_LEVEL=warn\nTURN_SECRET=s\n`);
    expect(JSON.stringify(signaling?.ports)).toContain('10.0.0.11:9000:8080');
    expect(signaling?.environment).toMatchObject({ LOG_LEVEL: 'warn', TURN_SECRET: 's' });
    expect(coturn?.environment).toMatchObject({ TURN_SECRET: 's' });
    expect(parseConfig(parseDotEnv(Buffer.from(address))).port).toBe(9000);
  });

  test('.env.example, unchanged, is a .env that changes nothing', () => {
    expect(single(readFileSync(`${ROOT}.env.example`, 'utf8'))).toEqual(single());
  });
});

describeWith(['docker-compose'], `docker-compose -f ${CLUSTER} config`, () => {
  const cluster = (dotEnv: string) => configured(CLUSTER, PASSWORD + dotEnv);

  test('without a Redis password, Compose names the missing variable and starts nothing', () => {
    expect(() => configured(CLUSTER)).toThrow(/REDIS_PASSWORD.*openssl rand/);
  });

  test('three nodes share one Redis behind Caddy, and only Caddy is published', () => {
    const { node1, node2, node3, redis, caddy, coturn, ...others } = cluster('');
    expect(others).toEqual({});
    expect(node2).toEqual(node1);
    expect(node3).toEqual(node1);
    expect(node1?.environment).toMatchObject({
      PRODUCTION: '1',
      REDIS_URL: 'redis://couplet:0123456789abcdef@redis:6379',
      TRUST_PROXY: '1',
    });
    expect([node1?.ports, redis?.ports, node1?.volumes]).toEqual([undefined, undefined, undefined]);
    expect(portsOf(caddy)?.sort()).toEqual(['443', '80', '8080', '8443']);
    expect(caddy?.environment).toEqual({ SITE: ':80', NODES: 'node1:8080 node2:8080 node3:8080' });
    expect(redis).toMatchObject({ restart: 'unless-stopped', volumes: expect.anything() });
    expect(coturn).toEqual(configured('docker-compose.yml').coturn);
  });

  test('a .env sets the site, its ports, the settings of every node and those of Redis', () => {
    const dotEnv = [
      ...['SITE=chat.example.org', 'PORT=80', 'HTTPS_PORT=443', 'LOG_LEVEL=warn', 'TURN_SECRET=s'],
      ...['REDIS_APPENDFSYNC=everysec', 'REDIS_MAXMEMORY=4gb'],
    ];
    const { node3, redis, caddy, coturn } = cluster(dotEnv.join('\n'));
    expect(node3?.environment).toMatchObject({ LOG_LEVEL: 'warn', TURN_SECRET: 's' });
    expect(redis?.environment).toMatchObject({
      REDIS_APPENDFSYNC: 'everysec',
      REDIS_MAXMEMORY: '4gb',
    });
    expect(caddy?.environment).toMatchObject({ SITE: 'chat.example.org' });
    expect(portsOf(caddy)?.sort()).toEqual(['443', '443', '80', '80']);
    expect(coturn?.environment).toMatchObject({ TURN_SECRET: 's' });
  });

  test('the stop timeout of a node exceeds its notice and its shutdown', () => {
    const { stop_grace_period: period, environment } = composeServices(CLUSTER).node1 as Service;
    const notice = Number(/:-(\d+)/.exec(environment.SHUTDOWN_NOTICE_SECONDS as string)?.[1]);
    const shutdown = Number(SETTINGS.get('SHUTDOWN_SECONDS')?.default);
    expect(Number.parseInt(period as string, 10)).toBeGreaterThan(notice + shutdown);
  });
});
