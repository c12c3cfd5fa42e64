// Bundles the client as an application would: it is small, and includes only what the application uses.
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';
import { ROOT } from './support.js';

/** The limits stated in packages/client/README.md. */
const MAX_CORE_BYTES = 8000;
const MAX_MEDIA_BYTES = 3000;
const MAX_FILES_BYTES = 4000;

const codeOf = (chunks: { code: string }[]) => chunks.map(({ code }) => code).join('');
const bytesOf = (code: string) => gzipSync(code, { level: 9 }).length;

/**
 * Bundles a module for production with Vite, using the packages as published. `later` is the code that is loaded on
 * demand.
 */
async function bundle(module: string) {
  const ENTRY = 'virtual:application';
  const output = (await build({
    configFile: false,
    envDir: false,
    logLevel: 'warn',
    root: ROOT,
    ssr: { noExternal: true },
    plugins: [
      {
        name: 'application',
        resolveId: (id) => (id === ENTRY ? `${ROOT}application.js` : undefined),
        load: (id) => (id === `${ROOT}application.js` ? module : undefined),
      },
    ],
    build: {
      write: false,
      // Without Vite's own code around each import(), which an application has once.
      ssr: true,
      minify: true,
      // Without hashes in the names, which would change the size of the core by some bytes with every change of other files.
      rolldownOptions: { input: ENTRY, output: { chunkFileNames: '[name].js' } },
    },
  })) as Rolldown.RolldownOutput;
  const chunks = output.output.flatMap((chunk) => ('code' in chunk ? chunk : []));
  const code = codeOf(chunks.filter(({ isEntry }) => isEntry));
  const later = codeOf(chunks.filter(({ isEntry }) => !isEntry));
  return { code, later, bytes: bytesOf(code) };
}

test('the core is less than 8 kB, minified and gzipped, with all dependencies', async () => {
  const { code, later, bytes } = await bundle(`
    import { Couplet } from '@couplet/client';
    globalThis.Couplet = Couplet;
  `);
  expect(code).toContain('/api/rooms/accept');
  expect(code).not.toMatch(/\bfrom\s*["']|\bimport\s*["']/);
  // An application without a key exchange or files does not bundle them. What verifies pairings is loaded on demand.
  expect(code).not.toMatch(/HKDF|couplet1|couplet-cpace1|couplet-media|couplet-file/);
  expect(code.match(/\bimport\(/g)).toHaveLength(1);
  expect(later).toMatch(/couplet-cpace1/);
  expect(later).not.toMatch(/\/api\/rooms|\bimport\b/);
  process.stdout.write(`@couplet/client: ${bytes} bytes, minified and gzipped\n`);
  expect(bytes).toBeLessThan(MAX_CORE_BYTES);
});

test('files add less than 4 kB', async () => {
  const core = await bundle(`export { Couplet } from '@couplet/client';`);
  const files = await bundle(`export { Couplet, receiveFiles, sendFile } from '@couplet/client';`);
  expect(files.bytes - core.bytes).toBeLessThan(MAX_FILES_BYTES);
});

test.each([
  [
    'only the error class',
    `import { CoupletError } from '@couplet/client';
     globalThis.isOurs = (error) => error instanceof CoupletError;`,
    MAX_CORE_BYTES / 2,
  ],
  [
    'only the media module',
    `import { mediaOf } from '@couplet/client/media';
     globalThis.mediaOf = mediaOf;`,
    MAX_MEDIA_BYTES,
  ],
  // An empty bundle, compressed.
  ['nothing', `import '@couplet/client'; import '@couplet/protocol';`, 50],
])('an application that uses %s bundles no session', async (_title, module, most) => {
  const { code, bytes } = await bundle(module);
  expect(code).not.toMatch(/RTCPeerConnection\(|\/api\/rooms|join_room/);
  expect(bytes).toBeLessThan(most);
});
