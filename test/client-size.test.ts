// The client as a bundler puts it into an application: small, and only what the application uses.
import { gzipSync } from 'node:zlib';
import { build as compile } from '@couplet/testkit/server-process';
import { build, type Rolldown } from 'vite';
import { beforeAll, expect, test } from 'vitest';
import { ROOT } from './support.js';

/** The promise of packages/client/README.md. */
const MAX_CORE_BYTES = 8000;

/** Bundles a module as Vite does for production, with the packages as they are published. */
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

beforeAll(() => compile());

test('the core is less than 8 kB, minified and gzipped, with all that it needs', async () => {
  const { code, bytes } = await bundle(`
    import { Couplet } from '@couplet/client';
    globalThis.Couplet = Couplet;
  `);
  expect(code).toContain('/api/rooms/accept');
  expect(code).not.toMatch(/\bfrom\s*["']|\bimport\s*["'(]/);
  // Who does not exchange keys has no key exchange.
  expect(code).not.toMatch(/HKDF|couplet1/);
  process.stdout.write(`@couplet/client: ${bytes} bytes, minified and gzipped\n`);
  expect(bytes).toBeLessThan(MAX_CORE_BYTES);
});

test('an application that uses only the error class gets no session with it', async () => {
  const { code, bytes } = await bundle(`
    import { CoupletError } from '@couplet/client';
    export const isOurs = (error) => error instanceof CoupletError;
    globalThis.isOurs = isOurs;
  `);
  expect(code).not.toMatch(/RTCPeerConnection|\/api\/rooms|join_room/);
  expect(bytes).toBeLessThan(MAX_CORE_BYTES / 2);
});

test('an application that imports and uses nothing of it gets nothing', async () => {
  const { code } = await bundle(`import '@couplet/client'; import '@couplet/protocol';`);
  expect(code.trim()).toBe('');
});
