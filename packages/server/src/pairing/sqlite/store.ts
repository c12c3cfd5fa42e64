// PairingStore on SQLite: what is asked in one turn of the event loop, or while a commit is under way, is one group.
//
// Groups run in a thread of their own, which alone waits for the disk; what can be read is read here.
import { Worker } from 'node:worker_threads';
import { type PairingStore, type StoreLimits, UNLIMITED } from '../store.js';
import { DATABASE_GONE, type Identity, identify, openDatabase } from './database.js';
import {
  type Answers,
  type AnyRead,
  type Call,
  errorOf,
  failureOf,
  GroupCommit,
} from './group-commit.js';
import { type OperationName, type Reads, sqliteReads } from './operations.js';
import type { ThreadData } from './thread.js';

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
const THREAD = new URL('../../../dist/pairing/sqlite/thread.js', import.meta.url);

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

/** Most calls of a group, so that a transaction has a bounded length. */
const MAX_GROUP = 512;

interface Pending extends Call {
  resolve(outcome: unknown): void;
  reject(error: Error): void;
}

/**
 * Opens the store in a database file.
 *
 * @param start - where the database is worked on; a file in a thread of its own, so that nothing here waits for a disk
 * @throws DatabaseRefused if the file cannot serve
 */
export function openSqliteStore(
  path: string,
  limits: Partial<StoreLimits> = {},
  start: StartExecutor = path === ':memory:' ? executeHere : executeInThread,
): PairingStore {
  const all = { ...UNLIMITED, ...limits };
  // Committed rows are read by a connection of its own, and so never wait for a commit that is under way.
  const reader = start === executeInThread ? openDatabase(path) : undefined;
  reader?.exec('PRAGMA query_only = ON');
  const reads: Reads = reader === undefined ? {} : sqliteReads(reader, all);
  const listeners: ((joinCode: string) => void)[] = [];
  /** Bounded by the requests that are under way: each waits for its answer here. */
  const waiting: Pending[] = [];
  let group: Pending[] = [];
  let unanswered = 0;
  /** Whether the database file is known to be gone. Nothing is then read from it, and every call fails. */
  let gone = false;
  let closed = false;
  let drained: (() => void) | undefined;

  const next = () => {
    if (unanswered > 0) return;
    if (waiting.length === 0) return drained?.();
    group = waiting.splice(0, MAX_GROUP);
    unanswered = group.length;
    executor.run(group.map(({ name, args }) => ({ name, args })));
  };

  /** Called once what it says is in the database for good. */
  const answer = ({ answers, changed }: Answers) => {
    const answered = group;
    unanswered -= answers.length;
    next();
    for (const joinCode of changed) for (const listener of listeners) listener(joinCode);
    for (const result of answers) {
      const { resolve, reject } = answered[result.call] as Pending;
      gone = 'failure' in result && result.failure.code === DATABASE_GONE;
      if ('failure' in result) reject(errorOf(result.failure));
      else resolve(result.outcome);
    }
  };

  const executor = start(path, all, answer, reader && identify(path));

  /** Calls of one turn of the event loop form a group, which starts at the end of the turn; one call may be a group. */
  const call = (name: OperationName) => {
    const read = reads[name] as AnyRead | undefined;
    return (...args: unknown[]): Promise<never> =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new TypeError('the store is closed'));
        try {
          const found = gone ? undefined : read?.(...args);
          if (found !== undefined) return resolve(found.outcome as never);
        } catch (error) {
          return reject(errorOf(failureOf(error)));
        }
        waiting.push({ name, args, resolve: resolve as Pending['resolve'], reject });
        if (waiting.length === 1 && unanswered === 0) setImmediate(next);
      });
  };

  return {
    create: call('create'),
    accept: call('accept'),
    check: call('check'),
    cancel: call('cancel'),
    findRoom: call('findRoom'),
    prove: call('prove'),
    deleteRoom: call('deleteRoom'),
    purge: call('purge'),
    recall: call('recall'),
    firstTime: call('firstTime'),
    sweep: call('sweep'),
    counts: call('counts'),
    probe: call('probe'),
    onChange(listener) {
      listeners.push(listener);
    },
    async close() {
      if (closed) return;
      closed = true;
      if (unanswered + waiting.length > 0) {
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
      }
      reader?.close();
      await executor.close();
    },
  };
}
