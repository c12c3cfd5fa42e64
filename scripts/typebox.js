// Bundles TypeBox into packages/protocol/dist/typebox.js, if stale. Loading the 700 files of TypeBox takes Node a third of a
// second.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runsVite } from './pages.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TYPEBOX = `${ROOT}node_modules/typebox`;
const BUNDLE = `${ROOT}packages/protocol/dist/typebox.js`;

/** The packages must be built first. If this Node version cannot run Vite, TypeBox is not bundled, and the start is slower. */
export async function bundleTypebox() {
  const { version } = JSON.parse(readFileSync(`${TYPEBOX}/package.json`, 'utf8'));
  const banner = `/*! typebox ${version}\n${readFileSync(`${TYPEBOX}/license`, 'utf8').trim()}\n*/`;
  if (readFileSync(BUNDLE, 'utf8').startsWith(banner) || !runsVite(process.versions.node)) return;
  const { build } = await import('vite');
  await build({
    configFile: false,
    envDir: false,
    logLevel: 'warn',
    publicDir: false,
    root: `${ROOT}packages/protocol`,
    build: {
      target: 'es2023',
      minify: false,
      emptyOutDir: false,
      reportCompressedSize: false,
      outDir: 'dist',
      lib: { entry: 'src/typebox.ts', formats: ['es'], fileName: () => 'typebox.js' },
      rolldownOptions: { output: { postBanner: banner } },
    },
  });
}
