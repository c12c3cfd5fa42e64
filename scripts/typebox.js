// Bundles TypeBox into packages/protocol/dist/typebox.js, if stale. Loading the 700 files of TypeBox takes Node a third of a
// second.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TYPEBOX = `${ROOT}node_modules/typebox`;
const BUNDLE = `${ROOT}packages/protocol/dist/typebox.js`;

/** Runs after the packages are built, because `tsc` writes a file that imports TypeBox. */
export async function bundleTypebox() {
  const { version } = JSON.parse(readFileSync(`${TYPEBOX}/package.json`, 'utf8'));
  const banner = `/*! typebox ${version}\n${readFileSync(`${TYPEBOX}/license`, 'utf8').trim()}\n*/`;
  if (existsSync(BUNDLE) && readFileSync(BUNDLE, 'utf8').startsWith(banner)) return;
  const { build } = await import('esbuild');
  await build({
    entryPoints: [`${ROOT}packages/protocol/src/typebox.ts`],
    outfile: BUNDLE,
    bundle: true,
    format: 'esm',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    target: 'es2023',
    legalComments: 'none',
    banner: { js: banner },
    logLevel: 'warning',
  });
}
