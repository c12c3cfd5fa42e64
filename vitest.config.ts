// Tests run the sources, not the build; only the packages, the command and the thread of the database are what is built.
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const source = (path: string) => fileURLToPath(new URL(path, import.meta.url));

/** The tests that take longest: real browsers, faults of Redis, many processes. */
const LONG =
  /chaos\/chaos\.test|\/browser\/|\/nat\/|\/demo\/test|\/deploy\/|\/fuzz\/|\/(nodes|first-start|main|redis-refuses|kill)\.test/;

/** Begins with the longest files, so that the run does not end with one of them on an otherwise idle machine. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => Number(LONG.test(moduleId));
    return (await super.sort(files)).sort((a, b) => isLong(b) - isLong(a));
  }
}

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
      { find: /^@couplet\/client\/(.*)$/, replacement: source('packages/client/src/$1.ts') },
      { find: '@couplet/client', replacement: source('packages/client/src/index.ts') },
      { find: '@couplet/doctor', replacement: source('packages/doctor/src/index.ts') },
      { find: '@couplet/server', replacement: source('packages/server/src/index.ts') },
    ],
  },
  test: {
    include: ['{packages/*,demo,bench}/test/**/*.test.ts', 'test/**/*.test.ts'],
    globalSetup: ['packages/server/test/support/built.ts'],
    // Two for each core, because most of the long tests wait for something.
    maxWorkers: 2 * availableParallelism(),
    // Files share a process and its modules: loading these took a third of the work. Each test disposes of what it opened.
    isolate: false,
    sequence: { sequencer: LongestFirst },
    // Only to end a test that hangs: a machine may be ten times slower than ours.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    // By default a second: on a busy machine a browser may take longer for anything.
    expect: { poll: { timeout: 100_000 } },
    coverage: {
      provider: 'v8',
      include: ['packages/{protocol,doctor,server,client}/src/**/*.ts'],
      // Calls run in browsers only, whose coverage is not measured.
      exclude: ['packages/client/src/media.ts'],
      reporter: ['text'],
      thresholds: { branches: 90 },
    },
  },
});
