// Operations on SQLite that may fail for outside reasons: they come to `Unavailable`, and locks cost bounded time.
import type Database from 'better-sqlite3';
import { Unavailable } from '../platform/http-errors.js';
import { BUSY_TIMEOUT_MS } from './database.js';

/** Once a lock has outlasted the busy timeout, none is waited for during this time, in milliseconds. */
const IMPATIENT_MS = 1000;

/**
 * Makes what runs operations on a database; what SQLite refuses for outside reasons (lock, disk, damaged file) becomes
 * `Unavailable`. Waiting for a lock stalls the event loop, so while another process holds one for long, a single
 * operation per second waits and all others fail at once: many requests must not add their waits up.
 */
export function attempts(db: Database.Database): <T>(operation: () => T) => Promise<T> {
  let impatientUntil: number | undefined;
  return async (operation) => {
    if (impatientUntil !== undefined && performance.now() >= impatientUntil) {
      impatientUntil = undefined;
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
    }
    try {
      return operation();
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (typeof code !== 'string' || !OUTSIDE_REASONS.test(code)) throw error;
      if (impatientUntil === undefined && code.startsWith('SQLITE_BUSY')) {
        impatientUntil = performance.now() + IMPATIENT_MS;
        db.exec('PRAGMA busy_timeout = 0');
      }
      throw new Unavailable(error);
    }
  };
}

const OUTSIDE_REASONS =
  /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|PROTOCOL|NOMEM|CORRUPT|NOTADB)/;
