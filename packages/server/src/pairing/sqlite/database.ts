// Opens the database file: refuses a file of another application before changing it, then migrates without losing a row.
import {
  chmodSync,
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname } from 'node:path';
import type { DatabaseSyncInstance } from '@photostructure/sqlite';

/** An open database. The binding has the API of `node:sqlite`. */
export type Database = DatabaseSyncInstance;

/** The file cannot be used as the database. The message is one line for the operator. */
export class DatabaseRefused extends Error {
  constructor(path: string, reason: string, cause?: unknown) {
    super(`database ${path}: ${reason}`, { cause });
    this.name = 'DatabaseRefused';
  }
}

/** The SQLite binding cannot be used. The message is one line for the operator. */
export class BindingFault extends Error {
  constructor(reason: string, cause?: unknown) {
    super(`@photostructure/sqlite: ${reason}`, { cause });
    this.name = 'BindingFault';
  }
}

type Binding = typeof import('@photostructure/sqlite');
const require = createRequire(import.meta.url);
let loaded: Binding | undefined;

/** Loads the binding. It is not loaded at import, because a server with Redis needs no binary for its platform. */
function loadBinding(): Binding {
  if (loaded !== undefined) return loaded;
  let binding: Binding;
  try {
    binding = require('@photostructure/sqlite');
  } catch (error) {
    const { code, message } = error as { code?: string; message: string };
    const target = `${platform()}-${arch()}`;
    const reason =
      code === 'ERR_DLOPEN_FAILED'
        ? `its binary for ${target} cannot be loaded (${message.split('\n')[0]})`
        : `there is no binary for ${target}; install the packages again on this machine, or set REDIS_URL`;
    throw new BindingFault(reason, error);
  }
  const db = new binding.DatabaseSync(':memory:');
  const { version } = db.prepare('SELECT sqlite_version() AS version').get() as { version: string };
  db.close();
  refuseOldSqlite(version);
  loaded = binding;
  return binding;
}

/** In earlier versions of SQLite, a checkpoint that resets the WAL can lose the commit of another connection. */
const OLDEST_SQLITE = '3.51.3';

/** @throws {@link BindingFault} */
export function refuseOldSqlite(version: string): void {
  if (version.localeCompare(OLDEST_SQLITE, 'en', { numeric: true }) >= 0) return;
  throw new BindingFault(`it contains SQLite ${version}; ${OLDEST_SQLITE} or newer is needed`);
}

/** Opens a connection, without any check of the file. Its statements wait for locks as long as an opening does. */
function connect(path: string, readOnly = false): Database {
  const { DatabaseSync } = loadBinding();
  return new DatabaseSync(path, { readOnly, timeout: OPEN_TIMEOUT_MS });
}

/** A statement with named parameters (`@name`). */
export interface Statement<Row> {
  get(values?: Values): Row | undefined;
  all(values?: Values): Row[];
  /** Returns the number of changed rows. */
  run(values?: Values): number;
}

export type Values = Record<string, string | number | null>;

/**
 * Returns a function that prepares statements. The binding cuts text at a NUL, so two device ids could become one. A text
 * with a NUL is therefore bound and stored as a BLOB, which is never equal to a text, and becomes a string again in a row.
 */
export const preparing =
  (db: Database) =>
  <Row = unknown>(sql: string): Statement<Row> => {
    // Bound by position: the binding takes three times as long for a statement whose parameters it finds by name.
    const names = [...new Set(sql.match(/(?<=@)\w+/g))];
    const statement = db.prepare(
      sql.replace(/@(\w+)/g, (_, name) => `?${names.indexOf(name) + 1}`),
    );
    const bound = (values: Values) => names.map((name) => boundOf(values[name]));
    // Rows come as arrays: the binding takes longer to name the columns than to read them.
    statement.setReturnArrays(true);
    const columns = statement.columns().map(({ name }) => name);
    const rowOf = (values: readonly unknown[]): Row => {
      const row: Record<string, unknown> = {};
      for (let n = 0; n < columns.length; n++) row[columns[n] as string] = textOf(values[n]);
      return row as Row;
    };
    return {
      get: (values = {}) => {
        const row = statement.get(...bound(values));
        return row && rowOf(row);
      },
      all: (values = {}) => statement.all(...bound(values)).map(rowOf),
      run: (values = {}) => statement.run(...bound(values)).changes,
    };
  };

const boundOf = (value: unknown): unknown =>
  typeof value === 'string' && value.includes('\0') ? Buffer.from(value) : value;

const textOf = (value: unknown): unknown =>
  value instanceof Uint8Array ? decoder.decode(value) : value;
const decoder = new TextDecoder();

/** SQLite's result codes with an outside cause (lock, disk, damaged file). An error with any other code is a bug. */
const OUTSIDE_CAUSES: readonly [code: number, name: string, text: string][] = [
  [5, 'SQLITE_BUSY', 'database is locked'],
  [6, 'SQLITE_LOCKED', 'database table is locked'],
  [7, 'SQLITE_NOMEM', 'out of memory'],
  [8, 'SQLITE_READONLY', 'attempt to write a readonly database'],
  [10, 'SQLITE_IOERR', 'disk I/O error'],
  [11, 'SQLITE_CORRUPT', 'database disk image is malformed'],
  [13, 'SQLITE_FULL', 'database or disk is full'],
  [14, 'SQLITE_CANTOPEN', 'unable to open database file'],
  [15, 'SQLITE_PROTOCOL', 'locking protocol'],
  [26, 'SQLITE_NOTADB', 'file is not a database'],
];

/** Returns the name of an SQLite error's result code, or undefined if the error has no outside cause. */
export function outsideCause(error: unknown): string | undefined {
  const { code, message } = error as { code?: unknown; message?: string };
  if (code !== 'ERR_SQLITE_ERROR') return undefined;
  const errcode = errcodeOf(error);
  // Errors of the binding's `all()` have no `errcode`, only SQLite's text.
  const [, name] =
    OUTSIDE_CAUSES.find(([known, , text]) =>
      errcode === undefined ? message === text : (errcode & 0xff) === known,
    ) ?? [];
  return name;
}

/** The extended result code of an SQLite error; its lower 8 bits are the result code. */
export const errcodeOf = (error: unknown): number | undefined =>
  (error as { errcode?: number }).errcode;

const SCHEMA_FOLDER = new URL('../../../schema/', import.meta.url);

/** `PRAGMA application_id` of our files ("Cplt"); set by migration 002. */
const APPLICATION_ID = 0x43706c74;

/**
 * How long a statement waits for another process's lock, in milliseconds. The wait is short because a read waits on the
 * event loop. If the lock is held for longer, all calls of the group get 503, and the clients retry.
 */
const BUSY_TIMEOUT_MS = 250;

/** How long opening a file waits for another process that creates or migrates it, in milliseconds. */
const OPEN_TIMEOUT_MS = 5000;

/**
 * A commit that makes the WAL this long, in pages of 4 KB, copies it to the database. SQLite's default is 1000. Pairings
 * change the same pages again and again, and a longer WAL copies each of them less often.
 */
const CHECKPOINT_PAGES = 4000;

/**
 * Opens the database in WAL mode, and creates or migrates it as needed. Every commit is on disk before it returns. New
 * files are accessible only to the user of this process, because they hold live join codes and room ids.
 *
 * @throws {@link DatabaseRefused} if the file is not a Couplet database or cannot be written; it is then unchanged
 * @throws {@link BindingFault} if the SQLite binding cannot be used
 */
export function openDatabase(path: string): Database {
  const inMemory = path === ':memory:';
  loadBinding();
  try {
    if (!inMemory) {
      makeFolder(dirname(path));
      makeFile(path);
      refuseForeign(path);
      closeToOthers(path);
    }
    const db = connect(path);
    try {
      db.exec(
        `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = ${CHECKPOINT_PAGES}`,
      );
      migrate(db, path);
      db.exec(`PRAGMA busy_timeout = ${BUSY_TIMEOUT_MS}`);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof DatabaseRefused) throw error;
    const { code } = error as { code?: string };
    const reason = REASONS[outsideCause(error) ?? code ?? ''];
    throw new DatabaseRefused(path, reason ?? `cannot be opened (${code})`, error);
  }
}

/**
 * Closes a database and empties its WAL. SQLite does that itself only when it closes the files, and the binding leaves
 * them open until all statements are garbage-collected. A backup that is put in place of the file must not meet an old WAL.
 */
export function closeDatabase(db: Database): void {
  try {
    db.exec('PRAGMA wal_checkpoint(TRUNCATE)');
  } catch {
    // The disk is full, or the file is damaged. SQLite reads the WAL at the next start.
  }
  db.close();
}

/**
 * Creates a folder and its missing parents one by one, for this user only. An existing folder keeps its mode, because it
 * may be /tmp or the root of a volume. Not by `recursive: true`: in Node 20 that loops forever at full CPU load on file
 * systems that answer ENOENT to a new folder in an existing one (/proc, an automounter).
 */
function makeFolder(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const above = dirname(path);
  if (above !== path) makeFolder(above);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (error) {
    // Another process that starts at the same time may have created it.
    if (!statSync(path, { throwIfNoEntry: false })?.isDirectory()) throw error;
  }
}

/** Creates a missing file. SQLite would make it readable for all, and copies its mode to the -wal and -shm files. */
function makeFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600));
  } catch {
    // The file exists, or SQLite cannot create it either and reports the reason.
  }
}

/** Suffixes of a database file in WAL mode and of the files that SQLite keeps beside it. */
const FILES = ['', '-wal', '-shm'] as const;

/** Removes the permissions of group and others from files that an earlier version or a user created. */
function closeToOthers(path: string): void {
  for (const suffix of FILES) {
    const file = statSync(path + suffix, { throwIfNoEntry: false });
    if (file === undefined || (file.mode & 0o077) === 0) continue;
    try {
      chmodSync(path + suffix, file.mode & 0o700);
    } catch {
      // The files belong to another user, who alone may change the mode.
    }
  }
}

/** Identifies the files at a path. Plain data, so that it can be sent to another thread. */
export type Identity = readonly string[];

/** The identity of an open database and of the files beside it. */
export const identify = (path: string): Identity =>
  FILES.map((suffix) => {
    const file = statSync(path + suffix, { throwIfNoEntry: false, bigint: true });
    return file === undefined ? 'none' : `${file.dev}:${file.ino}`;
  });

/** `code` of an error: a file of the open database was deleted or replaced, so new writes would be lost at a restart. */
export const DATABASE_GONE = 'COUPLET_DATABASE_GONE';

/** @throws Error with the code {@link DATABASE_GONE} unless the files at a path are those that were opened */
export function requireSame(path: string, identity: Identity): void {
  if (identify(path).every((file, n) => file === identity[n])) return;
  const message =
    'the database file, or its -wal or -shm, was deleted or replaced while the server ran; put the file back if you can, and restart';
  throw Object.assign(new Error(message), { name: 'DatabaseGone', code: DATABASE_GONE });
}

const readPragma = (db: Database, name: string): unknown =>
  Object.values(db.prepare(`PRAGMA ${name}`).get() as object)[0];

const REASONS: Record<string, string | undefined> = {
  SQLITE_NOTADB: 'is not a SQLite database',
  SQLITE_CORRUPT: 'is damaged',
  SQLITE_CANTOPEN: 'cannot be opened; is the folder writable?',
  SQLITE_READONLY: 'is read-only',
  SQLITE_BUSY: 'is locked by another process',
  SQLITE_FULL: 'does not fit: the disk is full',
  EACCES: 'is in a folder that is not writable',
  EROFS: 'is on a read-only file system',
  EEXIST: 'is in a folder that cannot be made: a file is in the way',
  ENOENT: 'is in a folder that cannot be made',
  ENOTDIR: 'is in a folder that cannot be made: a file is in the way',
  ENOSPC: 'does not fit: the disk is full',
};

/**
 * Inspects an existing file through a read-only connection, which changes nothing, not even by a checkpoint. The
 * exception: if the last process was killed within a transaction, the file cannot be read until SQLite has rolled that
 * transaction back.
 */
function refuseForeign(path: string, readOnly = true): void {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file?.isDirectory()) throw new DatabaseRefused(path, 'is a folder');
  if ((file?.size ?? 0) === 0) return;
  const db = connect(path, readOnly);
  try {
    refuseNewer(db, path);
    const id = readPragma(db, 'application_id');
    if (id !== 0 && id !== APPLICATION_ID) {
      throw new DatabaseRefused(path, 'belongs to another application');
    }
    const tables = namesOf(
      db,
      "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
    );
    if (tables.length > 0 && !tables.some((table) => table in REQUIRED_COLUMNS)) {
      throw new DatabaseRefused(path, 'belongs to another application');
    }
    for (const table of tables) refuseOtherColumns(db, path, table);
  } catch (error) {
    if (!readOnly || !NEEDS_ROLLBACK.includes(errcodeOf(error) ?? 0)) throw error;
    refuseForeign(path, false);
  } finally {
    db.close();
  }
}

/** SQLITE_READONLY_RECOVERY and SQLITE_READONLY_ROLLBACK. */
const NEEDS_ROLLBACK: readonly number[] = [8 | (1 << 8), 8 | (3 << 8)];

const namesOf = (db: Database, select: string, values = {}): string[] =>
  preparing(db)<{ name: string }>(select)
    .all(values)
    .map(({ name }) => name);

const columnsOf = (db: Database, table: string): string[] =>
  namesOf(db, 'SELECT name FROM pragma_table_info(@table)', { table });

/** The columns that each published table must have. Further columns are allowed. */
const REQUIRED_COLUMNS: Record<string, readonly string[] | undefined> = {
  pendings: ['joinid', 'client1', 'exp', 'client2'],
  rooms: ['roomid', 'client1', 'client2'],
};

function refuseOtherColumns(db: Database, path: string, table: string): void {
  const columns = columnsOf(db, table);
  const missing = REQUIRED_COLUMNS[table]?.find((column) => !columns.includes(column));
  if (missing !== undefined) {
    throw new DatabaseRefused(
      path,
      `its table ${table} has no column ${missing}; it is not a Couplet database`,
    );
  }
}

const MIGRATIONS = readdirSync(SCHEMA_FOLDER)
  .filter((name) => /^\d{3}-.*\.sql$/.test(name))
  .sort();

const versionOf = (db: Database) => readPragma(db, 'user_version') as number;

function refuseNewer(db: Database, path: string): void {
  const version = versionOf(db);
  if (version > MIGRATIONS.length) {
    throw new DatabaseRefused(path, `was made by a newer version (schema ${version})`);
  }
}

/** Applies `schema/NNN-*.sql` from the file's version on, in one transaction, so a failed start changes nothing. */
function migrate(db: Database, path: string): void {
  if (versionOf(db) === MIGRATIONS.length) return;
  db.exec('BEGIN IMMEDIATE');
  try {
    // Checked again under the lock, because another process may have migrated in the meantime.
    refuseNewer(db, path);
    for (const name of MIGRATIONS.slice(versionOf(db))) {
      const sql = readFileSync(new URL(name, SCHEMA_FOLDER), 'utf8');
      db.exec(withoutPresentColumns(db, sql));
    }
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}; COMMIT`);
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}

/** SQLite has no `ADD COLUMN IF NOT EXISTS`, and a table may have columns of another server. */
const withoutPresentColumns = (db: Database, sql: string): string =>
  sql.replace(/^ALTER TABLE (\w+) ADD COLUMN (\w+)[^;]*;/gm, (statement, table, column) =>
    columnsOf(db, table).includes(column) ? '' : statement,
  );
