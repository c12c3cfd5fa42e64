// Builds the files served to browsers, if they are stale: /client.js (the client), /client-media.js (its other entry),
// /client-verify-….js (which it loads on demand) and the demo page.
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PUBLIC = `${ROOT}packages/server/public/`;
/** Holds the hash of the inputs. Kept in the output folder, so that both are deleted together. Neither served nor packed. */
const STAMP = `${PUBLIC}.stamp`;
const INPUTS = [
  'demo/index.html',
  'demo/package.json',
  'demo/src',
  'packages/client/package.json',
  'packages/client/src',
  'packages/protocol/src',
  'package-lock.json',
  'scripts/pages.js',
];

/** The pages are built from the sources of the packages, so they need no other build. */
const OPTIONS = {
  absWorkingDir: ROOT,
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2023',
  sourcemap: true,
  alias: {
    '@couplet/client/media': `${ROOT}packages/client/src/media.ts`,
    '@couplet/client/push': `${ROOT}packages/client/src/push.ts`,
    '@couplet/client': `${ROOT}packages/client/src/index.ts`,
    '@couplet/protocol': `${ROOT}packages/protocol/src/index.ts`,
  },
  logLevel: 'warning',
};

/** Builds the pages if an input has changed. */
export async function buildPages() {
  const wanted = hashOf(INPUTS);
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  mkdirSync(PUBLIC, { recursive: true });
  for (const name of readdirSync(PUBLIC).filter((name) => /^(client|demo)/.test(name))) {
    rmSync(PUBLIC + name, { recursive: true });
  }
  // Loaded only here, because loading it takes longer than the rest of a start.
  const { build } = await import('esbuild');
  await Promise.all([buildClient(build), buildDemo(build)]);
  writeFileSync(STAMP, wanted);
}

async function buildClient(build) {
  const { version } = JSON.parse(readFileSync(`${ROOT}packages/client/package.json`, 'utf8'));
  const options = {
    ...OPTIONS,
    banner: { js: `/*! @couplet/client ${version}, MIT */` },
    outdir: PUBLIC,
    metafile: true,
  };
  const source = 'packages/client/src';
  const { metafile } = await build({
    ...options,
    entryPoints: [`${source}/verify/verify.ts`],
    entryNames: 'client-[name]-[hash]',
  });
  const verify = Object.keys(metafile.outputs).find((path) => path.endsWith('.js'));
  // Two bundles without a common file, so that a page without verified pairings loads one file only. The name contains the
  // hash, so that a page that was loaded before an update of the server never gets a file of another version.
  const path = `./${basename(verify)}`;
  const plugins = [
    {
      name: 'client-verify',
      setup: ({ onResolve }) =>
        onResolve({ filter: /\/verify\.js$/ }, ({ kind }) =>
          kind === 'dynamic-import' ? { path, external: true } : undefined,
        ),
    },
  ];
  await build({
    ...options,
    plugins,
    entryPoints: { client: `${source}/index.ts`, 'client-media': `${source}/media.ts` },
  });
}

/** Every file has the hash of its content in its name, and nothing is inline, as the Content-Security-Policy requires. */
async function buildDemo(build) {
  // Its name and its folder stay the same, because they identify the service worker.
  await build({
    ...OPTIONS,
    entryPoints: ['demo/src/service-worker.ts'],
    outdir: `${PUBLIC}demo`,
  });
  const { metafile } = await build({
    ...OPTIONS,
    entryPoints: ['demo/src/main.ts', 'demo/src/styles/page.css', 'demo/src/icon.svg'],
    outdir: `${PUBLIC}demo/assets`,
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    splitting: true,
    loader: { '.svg': 'copy' },
    metafile: true,
  });
  let html = readFileSync(`${ROOT}demo/index.html`, 'utf8');
  for (const [path, { entryPoint }] of Object.entries(metafile.outputs)) {
    const source = entryPoint ?? (path.endsWith('.svg') ? 'demo/src/icon.svg' : undefined);
    if (source === undefined) continue;
    // Relative, so that a proxy can mount the server under a path.
    html = html.replaceAll(
      source.replace('demo/', './'),
      path.replace(/^.*\/assets\//, './assets/'),
    );
  }
  writeFileSync(`${PUBLIC}demo/index.html`, html);
  writeFileSync(
    `${PUBLIC}demo/licenses.md`,
    licensesOf('The demo page', Object.keys(metafile.inputs)),
  );
}

/** The licenses of the packages whose files are in a bundle. */
export function licensesOf(bundle, inputs) {
  const packages = inputs.flatMap(
    (path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
  );
  const texts = [...new Set(packages)].map((name) => {
    const folder = `${ROOT}node_modules/${name}/`;
    const { version, license } = JSON.parse(readFileSync(`${folder}package.json`, 'utf8'));
    const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
    const text = file === undefined ? license : readFileSync(folder + file, 'utf8').trim();
    return `## ${name} ${version}\n\n${text}\n`;
  });
  return ['# Licenses\n', `${bundle} contains these packages.\n`, ...texts].join('\n');
}

/** Hashes the names and contents of all files at these paths. */
function hashOf(paths) {
  const hash = createHash('sha256');
  for (const path of paths.flatMap(filesOf)) {
    hash
      .update(`${path}\0`)
      .update(readFileSync(ROOT + path))
      .update('\0');
  }
  return hash.digest('hex');
}

function filesOf(path) {
  if (statSync(ROOT + path).isFile()) return [path];
  const names = readdirSync(ROOT + path, { recursive: true, encoding: 'utf8' }).sort();
  return names
    .map((name) => `${path}/${name.replaceAll('\\', '/')}`)
    .filter((name) => /\.(js|ts|html|css|svg)$/.test(name) && !name.endsWith('.d.ts'));
}
