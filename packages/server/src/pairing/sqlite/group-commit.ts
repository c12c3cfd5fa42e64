// Implements group commit: many calls in one durable transaction, each with its own answer. They share one `COMMIT` and
// therefore one fsync. If the commit fails, all its calls fail. If a call fails, the transaction is rolled back, and each
// call of the group gets a transaction of its own, so the others succeed.
import { Unavailable } from '../../base/failures.js';
import type { StoreLimits } from '../store.js';
import {
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
import { type OperationName, sqliteOperations } from './operations.js';

/** An operation and its arguments. Survives JSON, in which an argument that is undefined becomes null. */
export interface Call {
  readonly name: OperationName;
  readonly args: readonly unknown[];
}

/** The result of a call. Survives JSON. */
export type Answer = { readonly outcome: unknown } | { readonly failure: Failure };

/** An error with its code, as plain data. */
export interface Failure {
  readonly isOutage: boolean;
  readonly name: string;
  readonly message: string;
  readonly code: unknown;
  readonly stack: string | undefined;
}

export interface Answers {
  /** In the order of the calls. */
  readonly answers: readonly Answer[];
  /** Join codes for which a check may now return another answer. */
  readonly changed: readonly string[];
}

type AnyOperation = (...args: readonly unknown[]) => unknown;

/** Runs groups of calls on a database. */
export class GroupCommit {
  readonly db: Database;
  readonly #parts: ReturnType<typeof sqliteOperations>;
  readonly #statements: Record<'begin' | 'commit' | 'rollback', Statement<never>>;
  /** Throws while the files at the path are not those that were opened. */
  readonly #requireFiles: () => void;
  #filesGone = false;

  /**
   * @param identity - the files that another connection to the same database has open, if there is one
   * @throws DatabaseRefused if the file cannot be used
   */
  constructor(path: string, limits: StoreLimits, identity?: Identity) {
    // Checked before opening, which would create a new file in place of a deleted one.
    if (identity !== undefined) requireSame(path, identity);
    this.db = openDatabase(path);
    const files = identity ?? identify(path);
    this.#requireFiles = path === ':memory:' ? () => {} : () => requireSame(path, files);
    this.#parts = sqliteOperations(this.db, limits, false);
    const prepare = preparing(this.db);
    this.#statements = {
      begin: prepare('BEGIN IMMEDIATE'),
      commit: prepare('COMMIT'),
      rollback: prepare('ROLLBACK'),
    };
  }

  /** Runs a group. The answers are durable when it returns. */
  run(calls: readonly Call[]): Answers {
    const { kept, changed } = this.#parts;
    const before = { ...kept };
    try {
      return { answers: this.#commit(calls), changed: changed.splice(0) };
    } catch (error) {
      Object.assign(kept, before);
      changed.length = 0;
      try {
        if (this.db.isTransaction) this.#statements.rollback.run();
      } catch {
        // The next group then cannot begin, and fails with the reason.
      }
      const isOfCall = !(error instanceof Unavailable);
      const results = calls.map((call) =>
        calls.length > 1 && (isOfCall || onlyReads(call)) ? this.run([call]) : failed(1, error),
      );
      return {
        answers: results.flatMap(({ answers }) => answers),
        changed: results.flatMap((result) => result.changed),
      };
    }
  }

  close(): void {
    closeDatabase(this.db);
  }

  /** @throws Unavailable if the transaction cannot begin or be committed; otherwise the error of a call */
  #commit(calls: readonly Call[]): Answer[] {
    const { begin, commit } = this.#statements;
    // After files were missing, checks for them before each group, because a moved file may be moved back.
    if (this.#filesGone) this.#checkFiles();
    if (calls.every(onlyReads)) return calls.map((call) => this.#runOne(call));
    outage(() => begin.run());
    const answers = calls.map((call) => this.#runOne(call));
    outage(() => commit.run());
    // Checked after the commit: if a file was deleted at any time before, no call of the group is answered.
    this.#checkFiles();
    return answers;
  }

  #checkFiles(): void {
    this.#filesGone = true;
    outage(this.#requireFiles);
    this.#filesGone = false;
  }

  #runOne({ name, args }: Call): Answer {
    try {
      return { outcome: (this.#parts.operations[name] as AnyOperation)(...args) };
    } catch (error) {
      // A full store refuses a call before it writes, so nothing is rolled back.
      if (error instanceof Unavailable) return { failure: failureOf(error) };
      throw error;
    }
  }
}

/** Whether a call needs no transaction: the counts must be readable while another process has locked the database. */
const onlyReads = ({ name }: Call) => name === 'counts';

/** Runs a step whose failure is an outage for the whole group. */
function outage(step: () => void): void {
  try {
    step();
  } catch (error) {
    throw new Unavailable(error);
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

/** The answers to a group of `count` calls that all fail. */
export const failed = (count: number, error: unknown): Answers => ({
  answers: Array(count).fill({ failure: failureOf(error) }),
  changed: [],
});

/** Restores the error from a failure. */
export function errorOf({ isOutage, name, message, code, stack }: Failure): Error {
  const error = Object.assign(new Error(message), { name, stack });
  if (code !== undefined) Object.assign(error, { code });
  return isOutage ? new Unavailable(error) : error;
}
