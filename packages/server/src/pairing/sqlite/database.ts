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
import { arch, platform } from 'node:os';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';

/** The file cannot be used as the database. The message is one line for the operator. */
export class DatabaseRefused extends Error {
  constructor(path: string, reason: string, cause?: unknown) {
    super(`database ${path}: ${reason}`, { cause });
    this.name = 'DatabaseRefused';
  }
}

/** The native add-on of better-sqlite3 cannot be loaded. The message is one line for the operator. */
export class AddonFault extends Error {
  constructor(cause: unknown) {
    const { code, message } = cause as { code?: string; message: string };
    const what =
      code !== 'ERR_DLOPEN_FAILED'
        ? 'its native add-on is missing'
        : message.includes('NODE_MODULE_VERSION')
          ? 'its native add-on was built for another version of Node.js'
          : `its native add-on cannot be loaded on ${platform()}-${arch()}; it may be for another platform`;
    super(
      `better-sqlite3: ${what}; run \`npm rebuild better-sqlite3\` here, without --ignore-scripts`,
      {
        cause,
      },
    );
    this.name = 'AddonFault';
  }
}

/** Loads the add-on by opening a first database. It is not loaded at import, so a server without SQLite needs none. */
function loadAddon(): void {
  if (addonLoaded) return;
  try {
    keepForever(new Database(':memory:')).close();
    addonLoaded = true;
  } catch (error) {
    throw new AddonFault(error);
  }
}
let addonLoaded = false;

const SCHEMA_FOLDER = new URL('../../../schema/', import.meta.url);

/** `PRAGMA application_id` of our files ("Cplt"); set by migration 002. */
const APPLICATION_ID = 0x43706c74;

/**
 * How long a statement waits for another process's lock, in milliseconds. The wait is short because it may block the
 * event loop. If the lock is held for longer, the request gets 503 and the client retries.
 */
export const BUSY_TIMEOUT_MS = 250;

/**
 * Opens the database in WAL mode, and creates or migrates it as needed. Every commit is on disk before it returns. New
 * files are accessible only to the user of this process, because they hold live join codes and room ids.
 *
 * @throws {@link DatabaseRefused} if the file is not a Couplet database or cannot be written; it is then unchanged
 * @throws {@link AddonFault} if better-sqlite3 cannot be loaded
 */
export function openDatabase(path: string): Database.Database {
  const inMemory = path === ':memory:';
  loadAddon();
  try {
    if (!inMemory) {
      makeFolder(dirname(path));
      makeFile(path);
      refuseForeign(path);
      closeToOthers(path);
    }
    const db = keepForever(new Database(path, { timeout: BUSY_TIMEOUT_MS }));
    try {
      db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL');
      migrate(db, path);
      return db;
    } catch (error) {
      db.close();
      throw error;
    }
  } catch (error) {
    if (error instanceof DatabaseRefused) throw error;
    const { code } = error as { code?: string };
    throw new DatabaseRefused(path, REASONS[code ?? ''] ?? `cannot be opened (${code})`, error);
  }
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

/** `code` of {@link DatabaseGone}, which loses its class when it is sent to another thread. */
export const DATABASE_GONE = 'COUPLET_DATABASE_GONE';

/** A file of the open database was deleted or replaced, so new writes would be lost at a restart. */
export class DatabaseGone extends Error {
  readonly code = DATABASE_GONE;
  constructor() {
    super(
      'the database file, or its -wal or -shm, was deleted or replaced while the server ran; put the file back if you can, and restart',
    );
    this.name = 'DatabaseGone';
  }
}

/** @throws {@link DatabaseGone} unless the files at a path are those that were opened */
export function requireSame(path: string, identity: Identity): void {
  if (identify(path).some((file, n) => file !== identity[n])) throw new DatabaseGone();
}

const kept: unknown[] = [];

/**
 * Keeps a database or statement from the garbage collector, a few dozen objects per opened database. From Node 24.19 on,
 * collecting one aborts the process: better-sqlite3 before 13 (which needs Node 22) fails an assertion of
 * `node::ObjectWrap`. Use {@link readPragma} or `db.exec()`, because each `db.pragma()` creates another statement.
 */
export function keepForever<T>(object: T): T {
  kept.push(object);
  return object;
}

const readPragma = (db: Database.Database, name: string): unknown =>
  keepForever(db.prepare(`PRAGMA ${name}`))
    .pluck()
    .get();

const REASONS: Record<string, string | undefined> = {
  SQLITE_NOTADB: 'is not a SQLite database',
  SQLITE_CORRUPT: 'is damaged',
  SQLITE_CANTOPEN: 'cannot be opened; is the folder writable?',
  SQLITE_CANTOPEN_ISDIR: 'is a folder',
  SQLITE_READONLY: 'is read-only',
  SQLITE_READONLY_DIRECTORY: 'is in a folder that is not writable',
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
function refuseForeign(path: string, readonly = true): void {
  const file = statSync(path, { throwIfNoEntry: false });
  if (file?.isDirectory()) throw new DatabaseRefused(path, 'is a folder');
  if ((file?.size ?? 0) === 0) return;
  const db = keepForever(new Database(path, { readonly, timeout: BUSY_TIMEOUT_MS }));
  try {
    refuseNewer(db, path);
    const id = readPragma(db, 'application_id');
    if (id !== 0 && id !== APPLICATION_ID) {
      throw new DatabaseRefused(path, 'belongs to another application');
    }
    const tables = keepForever(
      db.prepare<[], string>(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'",
      ),
    )
      .pluck()
      .all();
    if (tables.length > 0 && !tables.some((table) => table in REQUIRED_COLUMNS)) {
      throw new DatabaseRefused(path, 'belongs to another application');
    }
    for (const table of tables) refuseOtherColumns(db, path, table);
  } catch (error) {
    const { code } = error as { code?: string };
    if (!readonly || !/^SQLITE_READONLY_(ROLLBACK|RECOVERY)$/.test(code ?? '')) throw error;
    refuseForeign(path, false);
  } finally {
    db.close();
  }
}

/** The columns that each published table must have. Further columns are allowed. */
const REQUIRED_COLUMNS: Record<string, readonly string[] | undefined> = {
  pendings: ['joinid', 'client1', 'exp', 'client2'],
  rooms: ['roomid', 'client1', 'client2'],
};

function refuseOtherColumns(db: Database.Database, path: string, table: string): void {
  const columns = keepForever(db.prepare<[string], string>('SELECT name FROM pragma_table_info(?)'))
    .pluck()
    .all(table);
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

const versionOf = (db: Database.Database) => readPragma(db, 'user_version') as number;

function refuseNewer(db: Database.Database, path: string): void {
  const version = versionOf(db);
  if (version > MIGRATIONS.length) {
    throw new DatabaseRefused(path, `was made by a newer version (schema ${version})`);
  }
}

/** Applies `schema/NNN-*.sql` from the file's version on, in one transaction, so a failed start changes nothing. */
function migrate(db: Database.Database, path: string): void {
  if (versionOf(db) === MIGRATIONS.length) return;
  db.transaction(() => {
    // Checked again under the lock, because another process may have migrated in the meantime.
    refuseNewer(db, path);
    for (const name of MIGRATIONS.slice(versionOf(db))) {
      db.exec(readFileSync(new URL(name, SCHEMA_FOLDER), 'utf8'));
    }
    db.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  }).immediate();
}
