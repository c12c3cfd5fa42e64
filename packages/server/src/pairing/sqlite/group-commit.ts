// Implements group commit: many calls in one durable transaction, each with its own savepoint and answer.
//
// Calls that only read are answered first, without a transaction. The others share one `COMMIT` and therefore one fsync.
// A call that fails is rolled back alone; if the commit fails, all its calls fail.
import { Unavailable } from '../../base/failures.js';
import type { StoreLimits } from '../store.js';
import {
  BUSY_TIMEOUT_MS,
  closeDatabase,
  type Database,
  errcodeOf,
  type Identity,
  identify,
  openDatabase,
  outsideCause,
  preparing,
  requireSame,
  type Statement,
} from './database.js';
import { type OperationName, type Operations, sqliteOperations } from './operations.js';

/** An operation and its arguments. Plain data, so that it can be sent to another thread. */
export interface Call {
  readonly name: OperationName;
  readonly args: readonly unknown[];
}

/** The result of a call; `call` is its index in the group. Plain data, too. */
export type Answer = { readonly call: number } & (
  | { readonly outcome: unknown }
  | { readonly failure: Failure }
);

/** An error with its code, as plain data. */
export interface Failure {
  readonly isOutage: boolean;
  readonly name: string;
  readonly message: string;
  readonly code: unknown;
  readonly stack: string | undefined;
}

export interface Answers {
  readonly answers: readonly Answer[];
  /** Join codes for which a check may now return another answer. */
  readonly changed: readonly string[];
}

/** After a lock has outlasted the busy timeout, groups do not wait for locks for this time, in milliseconds. */
const NO_WAIT_MS = 1000;

type AnyOperation = (...args: readonly unknown[]) => unknown;
/** A read with untyped arguments. */
export type AnyRead = (...args: readonly unknown[]) => { outcome: unknown } | undefined;

/** Runs groups of calls on a database. */
export class GroupCommit {
  readonly #db: Database;
  readonly #operations: Operations;
  readonly #statements: Record<
    'begin' | 'commit' | 'rollback' | 'save' | 'undo' | 'release',
    Statement<never>
  >;
  /** Throws while the files at the path are not those that were opened. */
  readonly #requireFiles: () => void;
  #filesGone = false;
  #noWaitUntil: number | undefined;

  /**
   * @param identity - the files that another connection to the same database has open, if there is one
   * @throws DatabaseRefused if the file cannot be used
   */
  constructor(path: string, limits: StoreLimits, identity?: Identity) {
    // Checked before opening, which would create a new file in place of a deleted one.
    if (identity !== undefined) requireSame(path, identity);
    this.#db = openDatabase(path);
    const files = identity ?? identify(path);
    this.#requireFiles = path === ':memory:' ? () => {} : () => requireSame(path, files);
    this.#operations = sqliteOperations(this.#db, limits);
    const prepare = preparing(this.#db);
    this.#statements = {
      begin: prepare('BEGIN IMMEDIATE'),
      commit: prepare('COMMIT'),
      rollback: prepare('ROLLBACK'),
      save: prepare('SAVEPOINT call'),
      undo: prepare('ROLLBACK TO call'),
      release: prepare('RELEASE call'),
    };
  }

  /** Runs a group. `answer` gets the results of reads first, then those of the commit; never an empty list. */
  run(calls: readonly Call[], answer: (answers: Answers) => void): void {
    const gone = this.#gone();
    if (gone !== undefined) {
      answer({ answers: calls.map((_, call) => ({ call, failure: gone })), changed: [] });
      return;
    }
    const read: Answer[] = [];
    const writes: number[] = [];
    for (const [n, call] of calls.entries()) {
      const found = this.#read(call);
      if (found === undefined) writes.push(n);
      else read.push({ call: n, ...found });
    }
    if (read.length > 0) answer({ answers: read, changed: [] });
    if (writes.length > 0) answer(this.#commit(calls, writes));
  }

  close(): void {
    closeDatabase(this.#db);
  }

  /** After files were missing, checks for them before each group, because a moved file may be moved back. */
  #gone(): Failure | undefined {
    if (!this.#filesGone) return undefined;
    try {
      this.#requireFiles();
      this.#filesGone = false;
      return undefined;
    } catch (error) {
      return { ...failureOf(error), isOutage: true };
    }
  }

  #read({ name, args }: Call): { outcome: unknown } | { failure: Failure } | undefined {
    try {
      return (this.#operations.read[name] as AnyRead | undefined)?.(...args);
    } catch (error) {
      return { failure: failureOf(error) };
    }
  }

  #commit(calls: readonly Call[], writes: readonly number[]): Answers {
    const { begin, commit, rollback } = this.#statements;
    const { kept, changed } = this.#operations;
    const before = { ...kept };
    try {
      this.#waitForLock(begin);
      const answers = writes.map((n) => ({ call: n, ...this.#runOne(calls[n] as Call) }));
      commit.run();
      // Checked after the commit: if a file was deleted at any time before, no call of the group is answered.
      this.#filesGone = true;
      this.#requireFiles();
      this.#filesGone = false;
      return { answers, changed: changed.splice(0) };
    } catch (error) {
      // The group is not in the database, or only in a deleted file. No caller may get a success.
      Object.assign(kept, before);
      changed.length = 0;
      try {
        if (this.#db.isTransaction) rollback.run();
      } catch {
        // The next group then cannot begin, and fails with the reason.
      }
      const failure = { ...failureOf(error), isOutage: true };
      return { answers: writes.map((n) => ({ call: n, failure })), changed: [] };
    }
  }

  /** @throws the error that ended the whole transaction */
  #runOne({ name, args }: Call): { outcome: unknown } | { failure: Failure } {
    const { save, undo, release } = this.#statements;
    const { kept, changed, run } = this.#operations;
    const before = { ...kept };
    const changes = changed.length;
    save.run();
    try {
      const outcome = (run[name] as AnyOperation)(...args);
      release.run();
      return { outcome };
    } catch (error) {
      // After some errors, such as a full disk, SQLite itself rolls back the whole transaction.
      if (!this.#db.isTransaction) throw error;
      undo.run();
      release.run();
      Object.assign(kept, before);
      changed.length = changes;
      return { failure: failureOf(error) };
    }
  }

  /**
   * Begins a transaction. While another process holds the lock for long, one group per second waits for it and all
   * others fail at once. Otherwise the waits of many groups would add up and delay reads.
   */
  #waitForLock(begin: Statement<never>): void {
    if (this.#noWaitUntil !== undefined && performance.now() >= this.#noWaitUntil) {
      this.#noWaitUntil = undefined;
      this.#db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
    try {
      begin.run();
    } catch (error) {
      if (this.#noWaitUntil === undefined && outsideCause(error) === 'SQLITE_BUSY') {
        this.#noWaitUntil = performance.now() + NO_WAIT_MS;
        this.#db.exec('PRAGMA busy_timeout = 0');
      }
      throw error;
    }
  }
}

export function failureOf(thrown: unknown): Failure {
  const isOutage = thrown instanceof Unavailable;
  const error = (isOutage ? thrown.cause : thrown) as Error & { code?: unknown };
  const { name, message, stack } = error;
  const cause = outsideCause(error);
  const errcode = errcodeOf(error) ?? 0;
  // An extended code is added, because it tells a failed write from a failed sync: https://sqlite.org/rescode.html
  const sqliteCode = cause && errcode > 0xff ? `${cause}_${errcode}` : cause;
  return {
    isOutage: isOutage || cause !== undefined,
    name,
    message,
    code: sqliteCode ?? error.code,
    stack,
  };
}

/** Restores the error from a failure. */
export function errorOf({ isOutage, name, message, code, stack }: Failure): Error {
  const error = Object.assign(new Error(message), { name, stack });
  if (code !== undefined) Object.assign(error, { code });
  return isOutage ? new Unavailable(error) : error;
}
