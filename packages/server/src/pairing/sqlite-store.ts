// PairingStore on SQLite: what is asked in one turn of the event loop, or while a commit is under way, is one group.
import { DATABASE_GONE, identify, openDatabase } from './database.js';
import { type Answers, type AnyLook, type Call, errorOf, failureOf } from './group-commit.js';
import { executeHere, executeInThread, type StartExecutor } from './sqlite-executors.js';
import { type Looks, type OperationName, sqliteLooks, sqliteReads } from './sqlite-looks.js';
import type { StoreLimits } from './sqlite-operations.js';
import type { PairingStore } from './store.js';

const UNLIMITED: StoreLimits = {
  roomIdleMs: 0,
  pendingsPerDevice: Number.MAX_SAFE_INTEGER,
  pendingsPerAddress: Number.MAX_SAFE_INTEGER,
  rooms: Number.MAX_SAFE_INTEGER,
  idempotencyRecords: Number.MAX_SAFE_INTEGER,
};

/** Most calls of a group: whoever comes next waits for a transaction of bounded length. */
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
  // What can be read is read here, by a connection of its own: committed rows need not wait for those that are not.
  const reader = start === executeInThread ? openDatabase(path) : undefined;
  reader?.exec('PRAGMA query_only = ON');
  const looks: Looks = reader === undefined ? {} : sqliteLooks(sqliteReads(reader), all);
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

  /** At the end of this turn, with whatever else it brings; a lone call waits for no company. */
  const call = (name: OperationName) => {
    const look = looks[name] as AnyLook | undefined;
    return (...args: unknown[]): Promise<never> =>
      new Promise((resolve, reject) => {
        if (closed) return reject(new TypeError('the store is closed'));
        try {
          const found = gone ? undefined : look?.(...args);
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
