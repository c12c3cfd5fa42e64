// Builds the container image by hand in a folder: the Dockerfile's instructions work, and the result serves.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { call, pairDevices } from '@couplet/testkit/api';
import { startCommand } from '@couplet/testkit/command';
import { temporaryFolder } from '@couplet/testkit/server';
import { beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support.js';
import { buildByHand, type Image, isIgnored } from './image.js';

/** Most bytes above the base image. Development dependencies alone would be several times as much. */
const MAX_BYTES = 33e6;

test('no database, .env, build or dependency of a working copy is sent to the builder', () => {
  for (const path of [
    ...['.env', 'data/chat.db', 'node_modules/ws/index.js', '.git/config', 'LICENSE'],
    ...['packages/server/dist/main.js', 'packages/server/node_modules/x/index.js'],
  ]) {
    expect(isIgnored(path), path).toBe(true);
  }
  expect(isIgnored('packages/server/src/main.ts')).toBe(false);
});

const filesOf = (folder: string) =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).toSorted();

describe('the built image', () => {
  const folder = temporaryFolder();
  let image: Image;
  beforeAll(() => {
    image = buildByHand(folder);
  });

  /** Starts the image's command on a free port. */
  const start = () => {
    const [, main = '', ...args] = image.command;
    const env = { ...image.env, PORT: '0' };
    return startCommand(args, { cwd: image.workdir, main, env });
  };

  /** The engine's result of the healthcheck. */
  const healthOf = (url: string) => {
    const [, ...args] = image.healthcheck;
    const env = { ...image.env, PORT: new URL(url).port };
    return spawnSync(process.execPath, args, { cwd: image.workdir, env }).status;
  };

  test('has no development tools, sources or compiler output', () => {
    const modules = readdirSync(join(image.workdir, 'node_modules'));
    expect(modules).toEqual(expect.arrayContaining(['fastify', 'ws', 'pino']));
    const unneeded = ['vitest', 'typescript', 'esbuild', 'typebox', '@biomejs/biome', 'werift'];
    for (const name of unneeded) {
      expect(existsSync(join(image.workdir, 'node_modules', name)), name).toBe(false);
    }
    const binding = join(image.workdir, 'node_modules/@photostructure/sqlite');
    expect(readdirSync(join(binding, 'prebuilds')).sort()).toEqual([`linux-${process.arch}`]);
    expect(existsSync(join(binding, 'src'))).toBe(false);
    const packages = filesOf(join(image.workdir, 'packages'));
    expect(packages.filter((file) => /\.ts$|\.tsbuildinfo$/.test(file))).toEqual([]);
    const bytes = Number.parseInt(run('du', ['-sb', image.workdir]).stdout, 10);
    process.stdout.write(`image, without its base: ${(bytes / 1e6).toFixed(1)} MB\n`);
    expect(bytes).toBeLessThan(MAX_BYTES);
  });

  test('finds its Redis scripts', () => {
    // They are read when this module is loaded.
    const module = join(image.workdir, 'packages/server/dist/pairing/redis/store.js');
    run(process.execPath, ['--input-type=module', '--eval', `import(${JSON.stringify(module)})`]);
  });

  test('runs as node, never as root, pairs two devices, keeps rooms in its volume over a restart, and is healthy', async () => {
    expect(image.user).toBe('node');
    const shipped = filesOf(image.workdir);
    const first = start();
    const url = await first.listening;
    const { roomid } = await pairDevices(url);
    expect(healthOf(url)).toBe(0);
    expect((await fetch(`${url}/demo/`)).status).toBe(200);
    // In production, the list of rooms is not public.
    expect((await call(url, 'GET', '/rooms')).status).toBe(401);
    first.child.kill('SIGTERM');
    expect(await first.ended).toMatchObject({ code: 0, stderr: '' });
    expect(healthOf(url)).toBe(1);

    const again = await start().listening;
    expect((await call(again, 'GET', `/api/rooms?roomid=${roomid}`)).status).toBe(200);
    expect(readdirSync(join(image.root, 'data'))).toContain('chat.db');
    expect(filesOf(image.workdir)).toEqual(shipped);
  });
});
