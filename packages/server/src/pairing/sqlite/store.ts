// Implements PairingStore on SQLite. Calls of one turn of the event loop, or those made during a commit, form one group.
//
// Groups run in a separate thread, the only one that waits for the disk. Calls that need only a read run here.
import { Worker } from 'node:worker_threads';
import { Unavailable } from '../../base/failures.js';
import { type PairingStore, type StoreLimits, UNLIMITED } from '../store.js';
import { closeDatabase, DATABASE_GONE, type Database, identify, openDatabase } from './database.js';
import {
  type Answers,
  type Call,
  errorOf,
  failed,
  failureOf,
  GroupCommit,
} from './group-commit.js';
import { NEEDS_WRITE, type OperationName, sqliteOperations } from './operations.js';
import type { ThreadData } from './thread.js';

/** Runs one group at a time. */
export interface Executor {
  /** The connection for reads on the event loop. It sees committed rows only. */
  readonly reader: Database;
  /** Runs a group. `answer` gets its results when they are durable. */
  run(calls: readonly Call[]): void;
  close(): Promise<void>;
}

type StartExecutor = (
  path: string,
  limits: StoreLimits,
  answer: (answers: Answers) => void,
) => Executor;

/** Runs groups in this thread. Only for a database in memory, which never waits for a disk. */
const executeHere: StartExecutor = (path, limits, answer) => {
  const database = new GroupCommit(path, limits);
  return {
    reader: database.db,
    run: (calls) => answer(database.run(calls)),
    close: async () => database.close(),
  };
};

/** The built file, even if the sources are run directly, because a thread cannot load TypeScript. */
const THREAD = new URL('../../../dist/pairing/sqlite/thread.js', import.meta.url);

/** Young generation of the thread's heap, in MB. Small, because its objects live for one group. */
const YOUNG_MB = 8;

/**
 * Runs groups in a separate thread, so that this thread never waits for a disk. The first group starts it, because an unused
 * thread would take 13 MB. If the thread dies, its group fails, and the next group starts a new thread.
 */
const executeInThread: StartExecutor = (path, limits, answer) => {
  const reader = openDatabase(path);
  reader.exec('PRAGMA query_only = ON');
  const identity = identify(path);
  let thread: Worker | undefined;
  /** Number of calls in the running group. */
  let running = 0;

  const start = () => {
    const worker = new Worker(THREAD, {
      workerData: { path, limits, identity } satisfies ThreadData,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MB },
    });
    let cause: unknown = new Error('the database thread ended');
    const answered = (answers: Answers) => {
      running = 0;
      answer(answers);
      if (running === 0) worker.unref();
    };
    worker.on('message', (answers: string) => answered(JSON.parse(answers)));
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      thread = undefined;
      if (running > 0) answered(failed(running, new Unavailable(cause)));
    });
    worker.unref();
    return worker;
  };

  return {
    reader,
    run(calls) {
      thread ??= start();
      running = calls.length;
      // The thread keeps the process alive only while it runs a group.
      thread.ref();
      // As JSON, which takes half of the time of a structured clone.
      thread.postMessage(JSON.stringify(calls));
    },
    close: () =>
      new Promise((resolve) => {
        closeDatabase(reader);
        if (thread === undefined) return resolve();
        thread.ref();
        thread.once('exit', () => resolve());
        thread.postMessage(null);
      }),
  };
};

/** Maximum number of calls in a group, which bounds the length of a transaction. */
const MAX_GROUP = 512;

/** Operations that are first tried on the event loop, because most of their calls only read. */
const READS: readonly OperationName[] = ['check', 'findRoom', 'recall', 'claimPush', 'sweep'];

/** An operation with untyped arguments. */
type AnyRead = (...args: readonly unknown[]) => unknown;

interface Pending extends Call {
  resolve(outcome: unknown): void;
  reject(error: Error): void;
}

/**
 * Opens the store in a database file.
 *
 * @throws DatabaseRefused if the file cannot be used
 */
export function openSqliteStore(path: string, limits: Partial<StoreLimits> = {}): PairingStore {
  const all = { ...UNLIMITED, ...limits };
  const listeners: ((joinCode: string) => void)[] = [];
  /** Calls that wait for the next group. Bounded, because each belongs to a request in progress. */
  const waiting: Pending[] = [];
  let group: Pending[] = [];
  /** Codes with an accept since their last check. Their next check must write, so it is not read first. */
  const accepted = new Set<unknown>();
  /** Whether the database file was found missing. Nothing is then read from it, and every call fails. */
  let gone = false;
  let closed = false;
  let drained: (() => void) | undefined;

  const next = () => {
    if (group.length > 0) return;
    if (waiting.length === 0) return drained?.();
    // Checks last: one that collects a room frees its code, and a racing accept of the code must still find it taken.
    group = waiting
      .splice(0, MAX_GROUP)
      .sort((a, b) => +(a.name === 'check') - +(b.name === 'check'));
    executor.run(group.map(({ name, args }) => ({ name, args })));
  };

  const tell = (joinCode: string) => {
    for (const listener of listeners) listener(joinCode);
  };

  /** Called when the answers are durable. */
  const answer = ({ answers, changed }: Answers) => {
    const answered = group;
    group = [];
    next();
    for (const joinCode of changed) tell(joinCode);
    for (const [n, result] of answers.entries()) {
      const { resolve, reject } = answered[n] as Pending;
      gone = 'failure' in result && result.failure.code === DATABASE_GONE;
      if ('failure' in result) reject(errorOf(result.failure));
      else resolve(result.outcome);
    }
  };

  const start = path === ':memory:' ? executeHere : executeInThread;
  const executor = start(path, all, answer);
  const { operations } = sqliteOperations(executor.reader, all, true);

  /** Calls of one turn of the event loop form a group, which starts at the end of the turn, even with a single call. */
  const call = (name: OperationName) => {
    const read = READS.includes(name) ? (operations[name] as AnyRead) : undefined;
    const answerTo = (...args: unknown[]): Promise<never> =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new TypeError('the store is closed'));
        const mustWrite = name === 'check' && accepted.delete(args[0]);
        // A check with a key stores its outcome, so a reading before it would be in vain.
        const isKeyed = name === 'check' && args[3] !== undefined;
        try {
          if (read && !gone && !mustWrite && !isKeyed) return resolve(read(...args) as never);
        } catch (error) {
          if (error !== NEEDS_WRITE) return reject(errorOf(failureOf(error)));
        }
        waiting.push({
          name,
          args,
          resolve: resolve as Pending['resolve'],
          // The accept may have failed too. The check is then repeated as a read, because the pending still waits.
          reject: mustWrite ? () => resolve(answerTo(...args)) : reject,
        });
        if (waiting.length === 1 && group.length === 0) setImmediate(next);
      });
    return answerTo;
  };

  const calls = Object.fromEntries(
    (Object.keys(operations) as OperationName[]).map((name) => [name, call(name)]),
  ) as unknown as Pick<PairingStore, OperationName>;
  return {
    ...calls,
    accept(acceptance, ...rest) {
      const outcome = calls.accept(acceptance, ...rest);
      if (accepted.size === MAX_GROUP) accepted.clear();
      accepted.add(acceptance.joinCode);
      // Called before the commit, so that the held check joins the group of the accept.
      tell(acceptance.joinCode);
      return outcome;
    },
    onChange(listener) {
      listeners.push(listener);
    },
    async close() {
      if (closed) return;
      closed = true;
      if (group.length + waiting.length > 0) {
        await new Promise<void>((resolve) => {
          drained = resolve;
        });
      }
      await executor.close();
    },
  };
}
