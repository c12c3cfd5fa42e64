// Builds the packages of the server without a type check, which takes a fraction of a second. `tsc -b` writes the same files.
import { readdirSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

/** Writes the stale files in `dist` of the packages that a server loads. typebox.js bundles TypeBox. */
export async function transpile() {
  for (const name of ['protocol', 'doctor', 'server']) {
    const folder = `${ROOT}packages/${name}/`;
    const stale = readdirSync(`${folder}src`, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.ts') && file !== 'typebox.ts')
      .filter((file) =>
        isOlder(`${folder}dist/${file.replace(/ts$/, 'js')}`, `${folder}src/${file}`),
      );
    if (stale.length === 0) continue;
    const { build } = await import('esbuild');
    await build({
      absWorkingDir: folder,
      entryPoints: stale.map((file) => `src/${file}`),
      outbase: 'src',
      outdir: 'dist',
      format: 'esm',
      platform: 'node',
      target: 'node20',
      logLevel: 'warning',
    });
  }
}

/** Whether a file is missing or older than its source. */
function isOlder(path, source) {
  const built = statSync(path, { throwIfNoEntry: false });
  return built === undefined || built.mtimeMs < statSync(source).mtimeMs;
}
