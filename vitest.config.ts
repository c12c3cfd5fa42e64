// Tests run the sources, not the build; only the packages, the command and the thread of the database are what is built.
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  resolve: {
    alias: [
      { find: '@couplet/protocol/schema', replacement: source('packages/protocol/src/schema.ts') },
      {
        find: '@couplet/protocol/typebox',
        replacement: source('packages/protocol/src/typebox.ts'),
      },
      { find: /^@couplet\/testkit\/(.*)$/, replacement: source('packages/testkit/src/$1.ts') },
      { find: '@couplet/protocol', replacement: source('packages/protocol/src/index.ts') },
      { find: '@couplet/client', replacement: source('packages/client/src/index.ts') },
      { find: '@couplet/doctor', replacement: source('packages/doctor/src/index.ts') },
      { find: '@couplet/server', replacement: source('packages/server/src/index.ts') },
    ],
  },
  test: {
    include: ['{packages/*,demo,bench}/test/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['packages/server/test/support/built.ts'],
    // By default one core less, which on two cores is one test after the other; most of them wait for something.
    maxWorkers: '100%',
    // Only to end a test that hangs: a machine may be ten times slower than ours.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // By default a second: on a busy machine a browser may take longer for anything.
    expect: { poll: { timeout: 30_000 } },
    coverage: {
      provider: 'v8',
      include: ['packages/{protocol,doctor,server,client}/src/**'],
      reporter: ['text'],
      thresholds: { branches: 90 },
    },
  },
});
