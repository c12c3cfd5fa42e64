// Checks the import rules of CONTRIBUTING.md by reading the sources. There is no list of exceptions.
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, read } from './support.js';

interface Import {
  /** The specifier as written. */
  from: string;
  /** `import type` and `export type`. */
  typeOnly: boolean;
}

interface SourceFile {
  path: string;
  package: string;
  text: string;
  imports: Import[];
}

/** The published packages. The testkit is only for tests. */
const packages = readdirSync(`${ROOT}packages`).filter((name) => name !== 'testkit');

const files: SourceFile[] = packages.flatMap((name) =>
  readdirSync(`${ROOT}packages/${name}/src`, { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const path = `packages/${name}/src/${file.replaceAll('\\', '/')}`;
      const text = read(path);
      return { path, package: name, text, imports: importsOf(text) };
    }),
);

function importsOf(text: string): Import[] {
  const statements = text.matchAll(/^(?:import|export)\s(type\s)?(?:[^;'"]*?\sfrom\s)?'([^']+)'/gm);
  const calls = text.matchAll(/\b(?:import|require)\('([^']+)'\)/g);
  return [
    ...Array.from(statements, (m) => ({ from: m[2] as string, typeOnly: m[1] !== undefined })),
    ...Array.from(calls, (m) => ({ from: m[1] as string, typeOnly: false })),
  ];
}

/** The target file of a relative import. */
const resolve = (file: SourceFile, from: string): string =>
  join(dirname(file.path), from).replace(/\.js$/, '.ts');

const targets = (file: SourceFile): string[] =>
  file.imports.filter(isRelative).map(({ from }) => resolve(file, from));

const isRelative = ({ from }: Import) => from.startsWith('.');
const isNode = ({ from }: Import) => from.startsWith('node:');
/** Files of this repository and modules of Node.js. */
const isKnown = (from: string) => /^(\.|@couplet\/|node:)/.test(from);

/** `@scope/name/sub` → `@scope/name`. */
const libraryOf = (from: string): string =>
  from
    .split('/')
    .slice(0, from.startsWith('@') ? 2 : 1)
    .join('/');

/** The code of a file, without comments and string contents. */
const codeOf = (text: string): string =>
  text.replace(
    /\/\/[^\n]*|\/\*[\s\S]*?\*\/|'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/g,
    '',
  );

/** The paths of the files that break a rule. */
const breaking = (breaks: (file: SourceFile) => boolean, among = files): string[] =>
  among.filter(breaks).map(({ path }) => path);

describe('every source file', () => {
  test('begins with a sentence on its job', () => {
    const hasNone = ({ text }: SourceFile) => {
      const [first = '', ...rest] = text.split('\n').filter((line) => !line.startsWith('#!'));
      const end = rest.findIndex((line) => !line.startsWith('//'));
      return (
        !/^\/\/ \S.{10,}/.test(first) || !/[.?]( |$)/.test([first, ...rest.slice(0, end)].join(' '))
      );
    };
    expect(breaking(hasNone)).toEqual([]);
  });

  test('has a name in kebab-case, and not a generic one such as "utils"', () => {
    const kebab = /^packages\/[a-z]+\/src\/([a-z]+(-[a-z]+)*\/){0,2}[a-z0-9]+(-[a-z0-9]+)*\.ts$/;
    const empty = /\b(utils?|helpers?|managers?|types|misc|common)\b/;
    expect(breaking(({ path }) => !kebab.test(path) || empty.test(path))).toEqual([]);
  });
});

describe('dependencies point in one direction', () => {
  /** From the bottom to the top; a file imports its own folder and those below it. */
  const LAYERS = [
    ['base'],
    ['settings'],
    ['observability'],
    ['redis'],
    ['limits'],
    ['http'],
    ['pairing', 'signaling', 'turn', 'push', 'pages'],
    ['app.ts', 'cli'],
  ];
  const rank = (path: string): number => {
    const [first = ''] = path.replace(/^packages\/server\/src\//, '').split('/');
    const layer = LAYERS.findIndex((names) => names.includes(first));
    return layer === -1 && first.endsWith('.ts') ? LAYERS.length : layer;
  };
  const server = files.filter((file) => file.package === 'server');
  /** The feature of a file: the first folder, or `src` itself. */
  const feature = (path: string) => path.split('/').slice(0, -1).slice(0, 4).join('/');
  const features = (file: SourceFile) => new Set(targets(file).map(feature));

  test('no file imports one above it, or another feature', () => {
    const wrong = server.flatMap((file) =>
      targets(file)
        .filter((target) => feature(target) !== feature(file.path))
        .filter((target) => rank(target) >= rank(file.path))
        .map((target) => `${file.path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('only app.ts sees every feature', () => {
    const all = LAYERS[6]?.map((name) => `packages/server/src/${name}`) ?? [];
    expect(breaking((file) => all.every((dir) => features(file).has(dir)), server)).toEqual([
      'packages/server/src/app.ts',
    ]);
  });

  test('no file imports itself through others, not even for types', () => {
    const byPath = new Map(files.map((file) => [file.path, file]));
    const done = new Set<string>();
    const visit = (path: string, way: string[]) => {
      expect(way, [...way, path].join(' → ')).not.toContain(path);
      const file = byPath.get(path);
      if (done.has(path) || file === undefined) return;
      for (const target of targets(file)) visit(target, [...way, path]);
      done.add(path);
    };
    for (const { path } of files) visit(path, []);
  });
});

test('no relative import leaves its package', () => {
  const leaves = (file: SourceFile) =>
    targets(file).some((target) => !target.startsWith(`packages/${file.package}/src/`));
  expect(breaking(leaves)).toEqual([]);
});

test('client imports nothing but the main entry of protocol', () => {
  const imports = files.filter((file) => file.package === 'client').flatMap((f) => f.imports);
  const others = imports.filter((part) => !isRelative(part)).map(({ from }) => from);
  expect([...new Set(others)]).toEqual(['@couplet/protocol']);
});

test('the main entry of protocol loads no library at run time', () => {
  const loaded = new Set(['packages/protocol/src/index.ts']);
  for (const path of loaded) {
    const imports = files.find((file) => file.path === path)?.imports ?? [];
    for (const { from } of imports.filter(({ typeOnly }) => !typeOnly)) {
      loaded.add(from.startsWith('.') ? join(dirname(path), from).replace(/\.js$/, '.ts') : from);
    }
  }
  expect([...loaded].filter((name) => !name.startsWith('packages/'))).toEqual([]);
});

describe('the demo', () => {
  const demo = readdirSync(`${ROOT}demo/src`, { encoding: 'utf8' })
    .filter((file) => file.endsWith('.ts'))
    .map((file) => {
      const text = read(`demo/src/${file}`);
      return { path: `demo/src/${file}`, package: 'demo', text, imports: importsOf(text) };
    });

  test('imports only the client and the dependencies in its package.json, so any page could be built like it', () => {
    const { dependencies } = JSON.parse(read('demo/package.json'));
    const others = demo.flatMap(({ imports }) => imports.filter((part) => !isRelative(part)));
    const used = [...new Set(others.map(({ from }) => libraryOf(from)))].sort();
    expect(used).toEqual(['@couplet/client', 'uqr']);
    expect(used).toEqual(Object.keys(dependencies).sort());
  });

  test('draws its QR codes in one file, and parses no HTML anywhere', () => {
    const drawing = demo.filter(({ imports }) => imports.some(({ from }) => from === 'uqr'));
    expect(drawing.map(({ path }) => path)).toEqual(['demo/src/qr-code.ts']);
    const parsing = /\b(innerHTML|outerHTML|insertAdjacentHTML|document\.write|DOMParser|eval)\b/;
    expect(breaking(({ text }) => parsing.test(codeOf(text)), demo)).toEqual([]);
  });
});

describe('one importer per library', () => {
  /** Library → the only file that imports it. Files that receive the library's objects may import its types. */
  const IMPORTERS: Record<string, string[]> = {
    '@fastify/proxy-addr': ['settings/trust-proxy.ts'],
    '@fastify/swagger': ['http/openapi.ts'],
    '@photostructure/sqlite': ['pairing/sqlite/database.ts'],
    fastify: ['app.ts'],
    ioredis: ['redis/servers.ts'],
    'ipaddr.js': ['http/client-address.ts'],
    pino: ['observability/logger.ts'],
    'pino-pretty': ['observability/logger.ts'],
    'prom-client': ['observability/metrics.ts'],
    typebox: ['packages/protocol/src/typebox.ts'],
    uqr: ['cli/terminal.ts'],
    // Two ends: the server, and the doctor as a client.
    ws: [
      'packages/doctor/src/web-socket.ts',
      'signaling/websocket/connection.ts',
      'signaling/websocket/upgrade.ts',
    ],
    '@couplet/doctor': ['main.ts'],
  };
  /** Libraries whose types stay within these files too. */
  const NOT_EVEN_TYPES = ['@photostructure/sqlite', 'ws'];

  test('a library is imported by one file only (one for each end of a connection)', () => {
    const importers = files.flatMap((file) =>
      file.imports
        .filter(({ from, typeOnly }) => !typeOnly || NOT_EVEN_TYPES.includes(libraryOf(from)))
        .filter(({ from }) => libraryOf(from) in IMPORTERS || !isKnown(from))
        .map(
          ({ from }) => `${libraryOf(from)} in ${file.path.replace('packages/server/src/', '')}`,
        ),
    );
    expect([...new Set(importers)].sort()).toEqual(
      Object.entries(IMPORTERS)
        .flatMap(([library, importers]) => importers.map((importer) => `${library} in ${importer}`))
        .sort(),
    );
  });

  // A library of Fastify's, declared only to pin a version that runs on Node 20: ARCHITECTURE.md, Decisions.
  const PINNED = ['light-my-request'];

  test('a package declares exactly the libraries that it imports', () => {
    for (const name of packages) {
      const manifest = JSON.parse(read(`packages/${name}/package.json`));
      const used = files
        .filter((file) => file.package === name)
        .flatMap((file) => file.imports.filter((i) => !isRelative(i) && !isNode(i)))
        .map(({ from }) => libraryOf(from));
      const declared = Object.keys(manifest.dependencies ?? {});
      const imported = declared.filter((library) => !PINNED.includes(library));
      expect([...new Set(used)].sort(), name).toEqual(imported.sort());
    }
  });

  test('only main.ts uses the process', () => {
    const touching = files.filter(
      ({ text, imports }) =>
        /\bprocess\b/.test(codeOf(text)) || imports.some(({ from }) => from === 'node:process'),
    );
    expect(touching.map(({ path }) => path)).toEqual(['packages/server/src/main.ts']);
  });
});
