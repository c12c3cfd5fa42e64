// turn-server/start.sh and the compose file have the same settings as the server, and report faults clearly.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { composeServices } from '@couplet/testkit/compose';
import { TURN_FOLDER } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { SETTINGS } from '../../src/settings/config.js';

const script = readFileSync(join(TURN_FOLDER, 'start.sh'), 'utf8');
const ofCoturn = ['TURN_SECRET', ...[...SETTINGS].flatMap(([name, s]) => (s.usedBy ? [name] : []))];
const folder = temporaryFolder();

function start(env: Record<string, string>, ...args: string[]) {
  return spawnSync(join(TURN_FOLDER, 'start.sh'), args, {
    env: { PATH: process.env.PATH, TMPDIR: folder, ...env },
    encoding: 'utf8',
  });
}

test('start.sh reads exactly the settings of coturn', () => {
  const read = new Set(script.match(/\bTURN_[A-Z_]+\b/g));
  expect([...read].sort()).toEqual([...ofCoturn].sort());
});

test('start.sh has the defaults of the table', () => {
  for (const [, name = '', value] of script.matchAll(/\$\{(TURN_\w+):-([^}]+)\}/g)) {
    const { default: fallback } = SETTINGS.get(name) ?? {};
    expect(value, name).toBe(fallback === false ? '0' : String(fallback));
  }
});

test.each([
  ['docker-compose.yml', 'coturn'],
  ['docker-compose.yml', 'coturn-static'],
  ['docker-compose.yml', 'coturn-mapped'],
  ['docker-compose.cluster.yml', 'coturn'],
])('%s passes exactly those settings to %s', (file, name) => {
  const { environment = {} } = composeServices(file)[name] ?? {};
  expect(Object.keys(environment).sort()).toEqual([...ofCoturn].sort());
  for (const [key, value] of Object.entries(environment)) {
    expect(value).toMatch(new RegExp(`^\\$\\{${key}:-`));
  }
});

test('the second coturn is off by default', () => {
  const services = composeServices('docker-compose.yml');
  expect(services['coturn-static']?.profiles).toEqual(['static']);
  expect(services.coturn?.profiles).toBeUndefined();
});

const SECRET = { TURN_SECRET: 'sixteen-chars-at-least' };

/** Returns the configuration that start.sh passes to coturn. A program in place of coturn prints it. */
function configurationBy(env: Record<string, string>, ...args: string[]): string[] {
  const bin = temporaryFolder();
  writeFileSync(join(bin, 'turnserver'), '#!/bin/sh\ncat "$2"\n', { mode: 0o700 });
  const temporary = { TMPDIR: temporaryFolder(), PATH: `${bin}:${process.env.PATH}` };
  const { status, stdout, stderr } = start({ ...env, ...temporary }, ...args);
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  return stdout.slice(stdout.indexOf('# From the environment')).split('\n');
}

test('start.sh treats empty variables, and those that Kubernetes sets for a Service named turn, as unset', () => {
  const links = {
    TURN_PORT: 'tcp://10.96.0.10:3478',
    TURN_PORT_3478_TCP: 'tcp://10.96.0.10:3478',
    TURN_SERVICE_HOST: '10.96.0.10',
    TURN_SERVICE_PORT: '3478',
    TURN_TLS_PORT: 'tcp://10.96.0.11:5349',
    TURN_MIN_PORT: 'udp://[fd00::1]:1',
    TURN_STATIC_PORT: 'tcp://10.96.0.12:3479',
  };
  const static_ = { TURN_STATIC_USER: `old:${SECRET.TURN_SECRET}` };
  const blank = Object.fromEntries(ofCoturn.map((name) => [name, '']));
  const spaces = Object.fromEntries(ofCoturn.map((name) => [name, '  ']));
  const temporary = (line: string) => !line.startsWith('pidfile=');
  for (const [settings, ...args] of [[SECRET], [static_, 'static']] as const) {
    const plain = configurationBy(settings, ...args).filter(temporary);
    for (const env of [links, blank, spaces]) {
      expect(configurationBy({ ...env, ...settings }, ...args).filter(temporary)).toEqual(plain);
    }
  }
});

test.each<[string, string, Record<string, string>, string?]>([
  ['no static user', 'TURN_STATIC_USER', SECRET, 'static'],
  ['a public address without a private one', 'TURN_EXTERNAL_IP', { TURN_EXTERNAL_IP: '1.1.1.1' }],
  ['a certificate without its key', 'TURN_TLS_KEY', { TURN_TLS_CERT: '/none' }],
  ['a missing certificate', 'TURN_TLS_CERT', { TURN_TLS_CERT: '/none', TURN_TLS_KEY: '/none' }],
  ['an unknown argument', '--allow-everything', SECRET, '--allow-everything'],
  ['no secret', 'TURN_SECRET', { TURN_SECRET: '' }],
])('start.sh refuses %s and names it', (_, name, env, ...args) => {
  const { status, stderr } = start({ ...SECRET, ...env }, ...(args as string[]));
  expect(status).toBeGreaterThan(0);
  expect(status).not.toBe(127);
  expect(stderr).toContain(name);
  expect(stderr).not.toContain(SECRET.TURN_SECRET);
  expect(readdirSync(folder), 'no file with secrets remains').toEqual([]);
});
