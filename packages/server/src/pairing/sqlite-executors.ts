// Where groups of calls are run: in a thread that owns the database, or here.
import { Worker } from 'node:worker_threads';
import type { Identity } from './database.js';
import { type Answers, type Call, failureOf, GroupCommit } from './group-commit.js';
import type { StoreLimits } from './sqlite-operations.js';
import type { ThreadData } from './sqlite-thread.js';

/** Runs one group at a time, and answers each of its calls through `answer`, in as many portions as it likes. */
export interface Executor {
  run(calls: readonly Call[]): void;
  close(): Promise<void>;
}

export type StartExecutor = (
  path: string,
  limits: StoreLimits,
  answer: (answers: Answers) => void,
  /** The files that another connection to the database has open, where there is one. */
  identity?: Identity,
) => Executor;

/** In this thread, which then waits for the disk: for a database in memory, which has none. */
export const executeHere: StartExecutor = (path, limits, answer) => {
  const database = new GroupCommit(path, limits);
  return {
    run: (calls) => database.run(calls, answer),
    close: async () => database.close(),
  };
};

/** The built file, also where the sources are run as they are: a thread loads no TypeScript. */
const THREAD = new URL('../../dist/pairing/sqlite-thread.js', import.meta.url);

/** What the thread may allocate between two small collections: its objects live for one group. */
const YOUNG_MB = 8;

/** In a thread of its own. One that died, for want of memory perhaps, fails its group, and the next starts another. */
export const executeInThread: StartExecutor = (path, limits, answer, identity) => {
  let thread: Worker | undefined;
  let underWay = new Set<number>();

  const start = () => {
    const worker = new Worker(THREAD, {
      workerData: { path, limits, identity } satisfies ThreadData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    let cause: unknown = new Error('the database thread ended');
    worker.on('message', (answers: Answers) => {
      for (const { call } of answers.answers) underWay.delete(call);
      if (underWay.size === 0) worker.unref();
      answer(answers);
    });
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      thread = undefined;
      const failure = { ...failureOf(cause), isOutage: true };
      const answers = [...underWay].map((call) => ({ call, failure }));
      underWay.clear();
      if (answers.length > 0) answer({ answers, changed: [] });
    });
    worker.unref();
    return worker;
  };

  thread = start();
  return {
    run(calls) {
      thread ??= start();
      underWay = new Set(calls.keys());
      // Idle, it does not keep the process alive; at work, it does.
      thread.ref();
      thread.postMessage(calls);
    },
    close: () =>
      new Promise((resolve) => {
        if (thread === undefined) return resolve();
        thread.ref();
        thread.once('exit', () => resolve());
        thread.postMessage(null);
      }),
  };
};
