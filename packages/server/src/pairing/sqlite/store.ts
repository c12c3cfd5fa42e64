// Implements PairingStore on SQLite. Calls of one turn of the event loop, or those made during a commit, form one group.
//
// Groups run in a separate thread, the only one that waits for the disk. Calls that need only a read run here.
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

/** Runs one group at a time, and answers each of its calls through `answer`, in any number of portions. */
export interface Executor {
  run(calls: readonly Call[]): void;
  close(): Promise<void>;
}

export type StartExecutor = (
  path: string,
  limits: StoreLimits,
  answer: (answers: Answers) => void,
  /** The files that another connection to the database has open, if there is one. */
  identity?: Identity,
) => Executor;

/** Runs groups in this thread. Only for a database in memory, which never waits for a disk. */
export const executeHere: StartExecutor = (path, limits, answer) => {
  const database = new GroupCommit(path, limits);
  return {
    run: (calls) => database.run(calls, answer),
    close: async () => database.close(),
  };
};

/** The built file, even if the sources are run directly, because a thread cannot load TypeScript. */
const THREAD = new URL('../../../dist/pairing/sqlite/thread.js', import.meta.url);

/** Young generation of the thread's heap, in MB. Small, because its objects live for one group. */
const YOUNG_MB = 8;

/** Runs groups in a separate thread. If the thread dies, its group fails, and the next group starts a new thread. */
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
      // The thread keeps the process alive only while it runs a group.
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

/** Maximum number of calls in a group, which bounds the length of a transaction. */
const MAX_GROUP = 512;

interface Pending extends Call {
  resolve(outcome: unknown): void;
  reject(error: Error): void;
}

/**
 * Opens the store in a database file.
 *
 * @param start - runs the groups; by default in a separate thread for a file, so that this thread never waits for a disk
 * @throws DatabaseRefused if the file cannot be used
 */
export function openSqliteStore(
  path: string,
  limits: Partial<StoreLimits> = {},
  start: StartExecutor = path === ':memory:' ? executeHere : executeInThread,
): PairingStore {
  const all = { ...UNLIMITED, ...limits };
  // Committed rows are read through a separate connection, so reads never wait for a running commit.
  const reader = start === executeInThread ? openDatabase(path) : undefined;
  reader?.exec('PRAGMA query_only = ON');
  const reads: Reads = reader === undefined ? {} : sqliteReads(reader, all);
  const listeners: ((joinCode: string) => void)[] = [];
  /** Calls that wait for the next group. Bounded, because each belongs to a request in progress. */
  const waiting: Pending[] = [];
  let group: Pending[] = [];
  let unanswered = 0;
  /** Whether the database file was found missing. Nothing is then read from it, and every call fails. */
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

  /** Called when the answers are durable. */
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

  /** Calls of one turn of the event loop form a group, which starts at the end of the turn, even with a single call. */
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
