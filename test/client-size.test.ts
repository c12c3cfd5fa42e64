// Bundles the client as an application would: it is small, and includes only what the application uses.
import { gzipSync } from 'node:zlib';
import { build, type Rolldown } from 'vite';
import { expect, test } from 'vitest';
import { ROOT } from './support.js';

/** The limit stated in packages/client/README.md. */
const MAX_CORE_BYTES = 8000;

/** Bundles a module for production with Vite, using the packages as published. */
async function bundle(module: string): Promise<{ code: string; bytes: number }> {
  const ENTRY = 'virtual:application';
  const output = (await build({
    configFile: false,
    envDir: false,
    logLevel: 'warn',
    root: ROOT,
    plugins: [
      {
        name: 'application',
        resolveId: (id) => (id === ENTRY ? `${ROOT}application.js` : undefined),
        load: (id) => (id === `${ROOT}application.js` ? module : undefined),
      },
    ],
    build: {
      write: false,
      modulePreload: { polyfill: false },
      rolldownOptions: { input: ENTRY },
    },
  })) as Rolldown.RolldownOutput;
  const code = output.output.map((chunk) => ('code' in chunk ? chunk.code : '')).join('');
  return { code, bytes: gzipSync(code, { level: 9 }).length };
}

test('the core is less than 8 kB, minified and gzipped, with all dependencies', async () => {
  const { code, bytes } = await bundle(`
    import { Couplet } from '@couplet/client';
    globalThis.Couplet = Couplet;
  `);
  expect(code).toContain('/api/rooms/accept');
  expect(code).not.toMatch(/\bfrom\s*["']|\bimport\s*["'(]/);
  // An application without a key exchange does not bundle it.
  expect(code).not.toMatch(/HKDF|couplet1/);
  process.stdout.write(`@couplet/client: ${bytes} bytes, minified and gzipped\n`);
  expect(bytes).toBeLessThan(MAX_CORE_BYTES);
});

test('an application that uses only the error class does not bundle the session', async () => {
  const { code, bytes } = await bundle(`
    import { CoupletError } from '@couplet/client';
    export const isOurs = (error) => error instanceof CoupletError;
    globalThis.isOurs = isOurs;
  `);
  expect(code).not.toMatch(/RTCPeerConnection|\/api\/rooms|join_room/);
  expect(bytes).toBeLessThan(MAX_CORE_BYTES / 2);
});

test('an application that imports the client and uses nothing bundles nothing', async () => {
  const { code } = await bundle(`import '@couplet/client'; import '@couplet/protocol';`);
  expect(code.trim()).toBe('');
});
