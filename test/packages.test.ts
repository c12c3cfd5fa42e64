// Packs the packages, installs them into an empty folder without scripts and without a compiler, and runs and embeds them from there.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { pairDevices } from '@couplet/testkit/api';
import { startCommand } from '@couplet/testkit/command';
import { temporaryFolder } from '@couplet/testkit/server';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { beforeAll, describe, expect, test } from 'vitest';
import { ROOT, run } from './support.js';

const PACKAGES = ['protocol', 'doctor', 'server', 'client'];
const folder = temporaryFolder();
const tarballs = join(folder, 'tarballs');
const app = join(folder, 'app');
/** A PATH with node, npm and a shell, but no compiler. */
const PATH = join(folder, 'bin');
const packed = new Map<string, string[]>();

beforeAll(async () => {
  mkdirSync(tarballs);
  mkdirSync(app);
  mkdirSync(PATH);
  for (const name of ['node', 'npm', 'sh']) {
    const { stdout } = run('sh', ['-c', `command -v ${name}`]);
    symlinkSync(realpathSync(stdout.trim()), join(PATH, name));
  }
  for (const name of PACKAGES) {
    const { stdout } = run('npm', ['pack', '--json', '--pack-destination', tarballs], {
      cwd: `${ROOT}packages/${name}`,
    });
    const [tarball] = Object.values<{ files: { path: string }[] }>(JSON.parse(stdout));
    packed.set(name, tarball?.files.map((file) => file.path) ?? []);
  }
  writeFileSync(join(app, 'package.json'), '{ "private": true, "type": "module" }');
  // Without scripts, nothing is compiled. `engine-strict` fails if a dependency does not run on this Node.
  run(
    'npm',
    [
      ...['install', '--prefer-offline', '--ignore-scripts', '--engine-strict'],
      ...['--no-audit', '--no-fund'],
      ...readdirSync(tarballs).map((file) => join(tarballs, file)),
    ],
    { cwd: app, env: { ...process.env, PATH } },
  );
});

describe.each(PACKAGES)('@couplet/%s', (name) => {
  const manifest = JSON.parse(readFileSync(`${ROOT}packages/${name}/package.json`, 'utf8'));

  test('states its repository and its Node version, and has license, readme and the files it runs, and nothing else', () => {
    expect(manifest).toMatchObject({
      license: 'MIT',
      type: 'module',
      engines: { node: '>=20.12' },
      repository: { type: 'git', directory: `packages/${name}` },
    });
    const files = packed.get(name) ?? [];
    expect(files).toEqual(expect.arrayContaining(['LICENSE', 'README.md', 'package.json']));
    const rest = files.filter((file) => !/^(LICENSE|README\.md|package\.json)$/.test(file));
    const expected =
      /^bin\/.*\.js$|^dist\/.*\.(js|d\.ts)$|^dist\/command\/(.*\.js\.map|licenses\.md)$|^schema\/.*\.sql$|^src\/.*\.lua$|^public\/(client(-media|-verify-\w+)?\.js(\.map)?|demo\/.*)$/;
    expect(rest.filter((file) => !expected.test(file))).toEqual([]);
    for (const source of readdirSync(`${ROOT}packages/${name}/src`)) {
      if (source.endsWith('.ts')) expect(files).toContain(`dist/${source.replace('.ts', '.js')}`);
    }
  });

  test('publint finds nothing', async () => {
    const { messages } = await publint({ pkgDir: `${ROOT}packages/${name}`, strict: true });
    expect(messages.map((message) => formatMessage(message, manifest))).toEqual([]);
  });

  test('attw finds no entry with wrong types when ES modules are resolved', async () => {
    const [tarball = ''] = readdirSync(tarballs).filter((file) => file.includes(`-${name}-`));
    const result = await checkPackage(
      createPackageFromTarballData(readFileSync(join(tarballs, tarball))),
    );
    if (result.types === false) throw new Error('no types');
    expect(Object.keys(result.entrypoints).sort()).toEqual(Object.keys(manifest.exports).sort());
    // ES modules only, by design: errors for `require` and for Node 10 resolution are ignored.
    const others = ['node10', 'node16-cjs'];
    const problems = result.problems.filter(
      (problem) => !('resolutionKind' in problem && others.includes(problem.resolutionKind)),
    );
    expect(problems).toEqual([]);
  });
});

test('the installed command couplet pairs two devices', async () => {
  const main = join(app, 'node_modules/.bin/couplet');
  const cwd = join(folder, 'data');
  mkdirSync(cwd);
  const { listening, child, ended } = startCommand(['serve', '--sqlite'], {
    cwd,
    main,
    env: { PATH },
  });
  const url = await listening;
  await pairDevices(url);
  // Some modules are loaded at the first request for them.
  const [verify] =
    /client-verify-\w+\.js/.exec(await (await fetch(`${url}/client.js`)).text()) ?? [];
  for (const path of [`/${verify}`, '/demo/', '/metrics', '/openapi.json']) {
    expect((await fetch(url + path)).status, path).toBe(200);
  }
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0, stderr: '' });
  expect(existsSync(join(cwd, 'data/chat.db'))).toBe(true);
  // By its own name, as npx and a shell do.
  expect(run(main, ['--version'], { cwd: folder }).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

test('the installed server finds its Redis scripts', () => {
  const scripts = 'packages/server/src/pairing/redis/lua';
  const lua = readdirSync(ROOT + scripts).map((file) => `src/pairing/redis/lua/${file}`);
  expect(packed.get('server')).toEqual(expect.arrayContaining(lua));
  // They are read when this module is loaded.
  const module = join(app, 'node_modules/@couplet/server/dist/pairing/redis/store.js');
  run(process.execPath, ['--input-type=module', '--eval', `import(${JSON.stringify(module)})`]);
});

test('an application embeds buildApp from the install', () => {
  writeFileSync(
    join(app, 'embed.js'),
    `import { REST_ERRORS } from '@couplet/protocol';
     import { JoinRoom } from '@couplet/protocol/schema';
     import { buildApp, parseConfig } from '@couplet/server';
     const app = await buildApp(parseConfig({ USE_SQLITE: '1', SQLITE_DB_PATH: ':memory:' }));
     const url = await app.listen({ port: 0, host: '127.0.0.1' });
     const missing = await fetch(url + '/api/rooms?roomid=x');
     console.log(missing.status, (await missing.json()).error in REST_ERRORS, typeof JoinRoom);
     await app.close();`,
  );
  expect(run(process.execPath, ['embed.js'], { cwd: app }).stdout).toBe('404 true object\n');
});

test('a TypeScript application finds the types', () => {
  writeFileSync(
    join(app, 'embed.ts'),
    `import type { ServerMessage } from '@couplet/protocol';
     import { buildApp, type Config, parseConfig } from '@couplet/server';
     export const config: Config = parseConfig({});
     export const address: Promise<string> = buildApp(config).then((app) => app.listen({ port: 0 }));
     export const type: ServerMessage['type'] = 'room_ready';
     // @ts-expect-error: no such setting, so Config is not any
     config.nonsense;`,
  );
  const args = [
    ...['--noEmit', '--strict', '--skipLibCheck', '--module', 'nodenext', '--target', 'es2023'],
    ...['--types', 'node', '--typeRoots', `${ROOT}node_modules/@types`, 'embed.ts'],
  ];
  run(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, ...args], { cwd: app });
});
