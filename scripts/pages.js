// Builds what the server serves to browsers: /client.js, the whole client in one file, and the demo page. Only when stale.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PUBLIC = `${ROOT}packages/server/public/`;
/** Beside what it vouches for, so that who deletes that deletes this. Neither served nor packed. */
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

/** Builds the pages where an input has changed; the packages are to be built before. */
export async function buildPages() {
  const wanted = hashOf(INPUTS);
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  rmSync(PUBLIC, { recursive: true, force: true });
  if (!runsVite(process.versions.node)) {
    console.warn('The demo page is not built: that needs Node 20.19 or newer. All else works.');
    return;
  }
  // Loaded only here: it takes longer than everything else that a start does.
  const { build } = await import('vite');
  const { version } = JSON.parse(readFileSync(`${ROOT}packages/client/package.json`, 'utf8'));
  await build({
    ...COMMON,
    root: `${ROOT}packages/client`,
    build: {
      ...COMMON.build,
      outDir: PUBLIC,
      lib: { entry: 'dist/index.js', formats: ['es'], fileName: () => 'client.js' },
      // Of a library, Vite leaves the white space of ES modules alone: so the bundler is asked, not Vite.
      rolldownOptions: {
        output: { minify: true, postBanner: `/*! @couplet/client ${version}, MIT */` },
      },
    },
  });
  await build({
    ...COMMON,
    root: `${ROOT}demo`,
    // Relative, so that a proxy may mount the server below a path.
    base: './',
    build: {
      ...COMMON.build,
      outDir: `${PUBLIC}demo`,
      // Files of its own for everything: the policy of the page allows nothing inline.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      license: { fileName: 'licenses.md' },
    },
  });
  writeFileSync(STAMP, wanted);
}

/** Vite asks for more than the server does: `^20.19.0 || >=22.12.0`. */
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

/** Of the names and the contents of all files there. */
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
