// Group commit: many calls in one durable transaction, each with a savepoint and an answer of its own.
//
// Calls that only read are answered first, without a transaction. The others share one `COMMIT`, and so one fsync: a
// call that fails is undone alone, a commit that fails is the failure of all.
import type Database from 'better-sqlite3';
import { Unavailable } from '../../base/failures.js';
import type { StoreLimits } from '../store.js';
import {
  BUSY_TIMEOUT_MS,
  type Identity,
  identify,
  keepForever,
  openDatabase,
  requireSame,
} from './database.js';
import { type OperationName, type Operations, sqliteOperations } from './operations.js';

/** An operation and its arguments; plain data, so that it can go to another thread. */
export interface Call {
  readonly name: OperationName;
  readonly args: readonly unknown[];
}

/** What a call came to, by the place that it had in its group; plain data too. */
export type Answer = { readonly call: number } & (
  | { readonly outcome: unknown }
  | { readonly failure: Failure }
);

/** An error that can go to another thread, with its code. */
export interface Failure {
  readonly isOutage: boolean;
  readonly name: string;
  readonly message: string;
  readonly code: unknown;
  readonly stack: string | undefined;
}

export interface Answers {
  readonly answers: readonly Answer[];
  /** Join codes of which a check may now come to another answer. */
  readonly changed: readonly string[];
}

/** Once a lock has outlasted the busy timeout, none is waited for during this time, in milliseconds. */
const IMPATIENT_MS = 1000;

type AnyOperation = (...args: readonly unknown[]) => unknown;
/** Any read, called by its name. */
export type AnyRead = (...args: readonly unknown[]) => { outcome: unknown } | undefined;

/** A database, and the groups of calls that are run on it. */
export class GroupCommit {
  readonly #db: Database.Database;
  readonly #operations: Operations;
  readonly #statements: Record<'begin' | 'commit' | 'rollback' | 'save' | 'undo' | 'release', Run>;
  /** Throws while the files at the path are not those that were opened. */
  readonly #requireFiles: () => void;
  #filesGone = false;
  #impatientUntil: number | undefined;

  /**
   * @param identity - the files that another connection to the same database has open, where there is one
   * @throws DatabaseRefused if the file cannot serve
   */
  constructor(path: string, limits: StoreLimits, identity?: Identity) {
    // Before it is opened, which would make a new file in the place of one that was deleted.
    if (identity !== undefined) requireSame(path, identity);
    this.#db = openDatabase(path);
    const files = identity ?? identify(path);
    this.#requireFiles = path === ':memory:' ? () => {} : () => requireSame(path, files);
    this.#operations = sqliteOperations(this.#db, limits);
    const prepare = (sql: string): Run => keepForever(this.#db.prepare<[]>(sql));
    this.#statements = {
      begin: prepare('BEGIN IMMEDIATE'),
      commit: prepare('COMMIT'),
      rollback: prepare('ROLLBACK'),
      save: prepare('SAVEPOINT call'),
      undo: prepare('ROLLBACK TO call'),
      release: prepare('RELEASE call'),
    };
  }

  /** Runs a group. `answer` gets what could be read at once, then what was committed; never an empty list. */
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
    this.#db.close();
  }

  /** Once files were missing, they are looked for before each group: a file that was moved may be moved back. */
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
      // After the commit, so that a file which goes at any time before leaves nothing answered.
      this.#filesGone = true;
      this.#requireFiles();
      this.#filesGone = false;
      return { answers, changed: changed.splice(0) };
    } catch (error) {
      // Nothing of the group is in the database, or in one that lasts: no caller may be told that it is.
      Object.assign(kept, before);
      changed.length = 0;
      try {
        if (this.#db.inTransaction) rollback.run();
      } catch {
        // Then the next group cannot begin, and says so.
      }
      const failure = { ...failureOf(error), isOutage: true };
      return { answers: writes.map((n) => ({ call: n, failure })), changed: [] };
    }
  }

  /** @throws what ended the whole transaction */
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
      // Some errors, a full disk among them, can make SQLite roll everything back by itself.
      if (!this.#db.inTransaction) throw error;
      undo.run();
      release.run();
      Object.assign(kept, before);
      changed.length = changes;
      return { failure: failureOf(error) };
    }
  }

  /**
   * Begins a transaction. While another process holds the lock for long, one group per second waits for it, and all
   * others fail at once: many groups must not add their waits up, with reads behind them.
   */
  #waitForLock(begin: Run): void {
    if (this.#impatientUntil !== undefined && performance.now() >= this.#impatientUntil) {
      this.#impatientUntil = undefined;
      this.#db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
    try {
      begin.run();
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (this.#impatientUntil === undefined && String(code).startsWith('SQLITE_BUSY')) {
        this.#impatientUntil = performance.now() + IMPATIENT_MS;
        this.#db.exec('PRAGMA busy_timeout = 0');
      }
      throw error;
    }
  }
}

type Run = { run(): unknown };

/** What SQLite refuses for outside reasons (lock, disk, damaged file); all else is a bug. */
const OUTSIDE_REASONS =
  /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|PROTOCOL|NOMEM|CORRUPT|NOTADB)/;

export function failureOf(thrown: unknown): Failure {
  const isOutage = thrown instanceof Unavailable;
  const error = (isOutage ? thrown.cause : thrown) as Error & { code?: unknown };
  const { name, message, code, stack } = error;
  return { isOutage: isOutage || OUTSIDE_REASONS.test(String(code)), name, message, code, stack };
}

/** The error that a failure was made from. */
export function errorOf({ isOutage, name, message, code, stack }: Failure): Error {
  const error = Object.assign(new Error(message), { name, stack });
  if (code !== undefined) Object.assign(error, { code });
  return isOutage ? new Unavailable(error) : error;
}
