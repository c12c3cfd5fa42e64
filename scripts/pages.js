// Builds the files served to browsers, if they are stale: /client.js (the client in one file) and the demo page.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PUBLIC = `${ROOT}packages/server/public/`;
/** Holds the hash of the inputs. Kept in the output folder, so that both are deleted together. Neither served nor packed. */
const STAMP = `${PUBLIC}.stamp`;
const INPUTS = [
  'demo/index.html',
  'demo/package.json',
  'demo/src',
  'packages/client/dist',
  'packages/protocol/dist',
  'package.json',
  'scripts/pages.js',
];

/** Builds the pages if an input has changed. The packages must be built first. */
export async function buildPages() {
  const wanted = hashOf(INPUTS);
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  // Not docs/, which `npm run docs:site` builds.
  for (const name of ['.stamp', 'client.js', 'client.js.map', 'demo']) {
    rmSync(PUBLIC + name, { recursive: true, force: true });
  }
  if (!runsVite(process.versions.node)) {
    console.warn(
      'The demo page and /client.js are not built, because that needs Node 20.19 or newer.',
    );
    return;
  }
  // Loaded only here, because loading Vite takes longer than the rest of a start.
  const { build } = await import('vite');
  const { version } = JSON.parse(readFileSync(`${ROOT}packages/client/package.json`, 'utf8'));
  await build({
    ...COMMON,
    root: `${ROOT}packages/client`,
    build: {
      ...COMMON.build,
      outDir: PUBLIC,
      lib: { entry: 'dist/index.js', formats: ['es'], fileName: () => 'client.js' },
      // Vite does not remove white space from ES libraries. The bundler does.
      rolldownOptions: {
        output: { minify: true, postBanner: `/*! @couplet/client ${version}, MIT */` },
      },
    },
  });
  await build({
    ...COMMON,
    root: `${ROOT}demo`,
    // Relative, so that a proxy can mount the server under a path.
    base: './',
    build: {
      ...COMMON.build,
      outDir: `${PUBLIC}demo`,
      // Everything in separate files, because the page's Content-Security-Policy allows nothing inline.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      license: { fileName: 'licenses.md' },
    },
  });
  writeFileSync(STAMP, wanted);
}

/** Whether Vite runs on this Node version: `^20.19.0 || >=22.12.0`, which is stricter than the server. */
export function runsVite(version) {
  const [major, minor] = version.split('.').map(Number);
  return major === 20 ? minor >= 19 : major > 22 || (major === 22 && minor >= 12);
}

const COMMON = {
  configFile: false,
  envDir: false,
  logLevel: 'warn',
  publicDir: false,
  build: { target: 'es2023', sourcemap: true, emptyOutDir: false, reportCompressedSize: false },
};

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
