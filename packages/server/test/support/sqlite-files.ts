// Creates database files as other versions did, and reads files through separate connections.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { DatabaseSync } from '@photostructure/sqlite';

/** The tables as the first server of this API created them, with the columns that it added later. */
const ORIGINAL_SCHEMA = `
  CREATE TABLE pendings (
    joinid TEXT NOT NULL PRIMARY KEY, client1 TEXT NOT NULL, exp DATETIME NOT NULL, client2 TEXT,
    client1_token TEXT, platform TEXT DEFAULT 'ios');
  CREATE TABLE rooms (
    roomid TEXT NOT NULL PRIMARY KEY, client1 TEXT NOT NULL, client2 TEXT NOT NULL,
    client1_token TEXT, client2_token TEXT);
  CREATE INDEX idx_pendings_client1 ON pendings (client1);
  CREATE INDEX idx_pendings_exp ON pendings (exp);
  CREATE INDEX idx_rooms_client1 ON rooms (client1);
  CREATE INDEX idx_rooms_client2 ON rooms (client2);
  CREATE TRIGGER cleanup_expired_on_insert AFTER INSERT ON pendings
    BEGIN DELETE FROM pendings WHERE datetime(exp) <= datetime('now'); END;
  CREATE TRIGGER cleanup_expired_on_update AFTER UPDATE ON pendings
    BEGIN DELETE FROM pendings WHERE datetime(exp) <= datetime('now'); END;`;

/** Unlike the default of the binding, waits for locks of a server that uses the file. */
const WAIT = { timeout: 60_000 };

/** Runs SQL on a file, and creates the file if it is missing. */
export function execute(path: string, sql: string): void {
  const db = new DatabaseSync(path, WAIT);
  db.exec(sql);
  db.close();
}

/** A database of the first server: two rooms, and a waiting, an accepted and an oddly written pending. */
export function makeOriginalDatabase(path: string): void {
  execute(
    path,
    `${ORIGINAL_SCHEMA}
    INSERT INTO pendings (joinid, client1, exp, client2, client1_token) VALUES
      ('000001', 'A', '2100-01-01T00:00:00.000Z', NULL, 'token'),
      ('000002', 'A', '2100-01-01T00:00:00.000Z', 'B', NULL),
      ('000003', 'C', '2100-01-01 00:00:00', NULL, NULL);
    INSERT INTO rooms (roomid, client1, client2, client2_token) VALUES
      ('older', 'A', 'B', 'token'), ('newer', 'A', 'B', NULL);`,
  );
}

/** Rows of a query, through a read-only connection. */
export function rows(path: string, sql: string): Record<string, unknown>[] {
  const db = new DatabaseSync(path, { ...WAIT, readOnly: true });
  try {
    return db.prepare(sql).all() as Record<string, unknown>[];
  } finally {
    db.close();
  }
}

export const fingerprint = (path: string): string =>
  createHash('sha256').update(readFileSync(path)).digest('hex');
