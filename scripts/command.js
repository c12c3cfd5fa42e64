// Bundles the command and most of its libraries into packages/server/dist/command, if stale. Node.js needs half of a cold
// start to find, read and link their 350 files.
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { licensesOf } from './pages.js';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const DIST = `${ROOT}packages/server/dist/`;
const OUT = `${DIST}command/`;
const BUNDLE = `${OUT}main.js`;

/** Libraries with files of their own, those that few servers load, and parts of Fastify that the command never calls. */
const EXTERNAL = [
  '@couplet/doctor',
  '@fastify/ajv-compiler',
  '@fastify/fast-json-stringify-compiler',
  '@fastify/swagger',
  '@photostructure/sqlite',
  'ioredis',
  'light-my-request',
  'pino-pretty',
  'prom-client',
  'uqr',
];

/** CommonJS modules use these names, which a module does not have. */
const COMMONJS = `import { createRequire as createRequireOfBundle } from 'node:module';
const require = createRequireOfBundle(import.meta.url);
const { filename: __filename, dirname: __dirname } = import.meta;`;

/** Keeps the URL of each of our modules, from which it finds the files of the package. */
const moduleUrls = {
  name: 'module-urls',
  setup(build) {
    build.onLoad({ filter: /packages[\\/]server[\\/]dist[\\/].*\.js$/ }, ({ path }) => {
      const from = JSON.stringify(`${relative(OUT, path).replaceAll('\\', '/')}`);
      const text = readFileSync(path, 'utf8');
      return {
        contents: text.replaceAll('import.meta.url', `new URL(${from}, import.meta.url).href`),
      };
    });
  },
};

/** Runs after the packages are built and TypeBox is bundled. */
export async function bundleCommand() {
  if (changedAt(BUNDLE) > Math.max(...inputs().map(changedAt))) return;
  const { build } = await import('esbuild');
  rmSync(OUT, { recursive: true, force: true });
  const { metafile } = await build({
    absWorkingDir: ROOT,
    entryPoints: [`${DIST}main.js`],
    outdir: OUT,
    bundle: true,
    // Modules that are imported later become files of their own. In one file, V8 would parse most functions twice.
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    external: EXTERNAL,
    plugins: [moduleUrls],
    banner: { js: COMMONJS },
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    metafile: true,
    logLevel: 'warning',
  });
  writeFileSync(`${OUT}licenses.md`, licensesOf('The command', Object.keys(metafile.inputs)));
}

/** Every file that may be in the bundle, except libraries, whose versions are in the lockfile. */
function inputs() {
  const built = ['protocol', 'server'].flatMap((name) => {
    const folder = `${ROOT}packages/${name}/dist/`;
    return readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((file) => file.endsWith('.js') && !file.startsWith('command'))
      .map((file) => folder + file);
  });
  return [...built, `${ROOT}package-lock.json`, fileURLToPath(import.meta.url)];
}

const changedAt = (path) => statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
