// Makes one file of the door of TypeBox, in the place where the compiler put it: Node takes a third of a second for TypeBox's 700. Only when stale.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { runsVite } from './pages.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TYPEBOX = `${ROOT}node_modules/typebox`;
const DOOR = `${ROOT}packages/protocol/dist/typebox.js`;

/** The packages are to be built before. Where this Node cannot bundle, all works as it is, and starts later. */
export async function bundleTypebox() {
  const { version } = JSON.parse(readFileSync(`${TYPEBOX}/package.json`, 'utf8'));
  const banner = `/*! typebox ${version}\n${readFileSync(`${TYPEBOX}/license`, 'utf8').trim()}\n*/`;
  if (readFileSync(DOOR, 'utf8').startsWith(banner) || !runsVite(process.versions.node)) return;
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
