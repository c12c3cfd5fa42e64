// The statements of the SQLite store, prepared once. Times are ISO 8601 texts of fixed width: their order is their order in time.
import type Database from 'better-sqlite3';
import type { Room } from './store.js';

export interface PendingRow {
  client1: string;
  client2: string | null;
  exp: string;
}

export interface OutcomeRow {
  fingerprint: string;
  outcome: string;
}

export interface RoomRow extends Room {
  usedAt: string | null;
}

/** A statement that takes its parameters by name. */
type Statement<Row = unknown> = Database.Statement<[object], Row>;

/** Where counting stops. */
export interface CountLimits {
  pendingsPerDevice: number;
  pendingsPerAddress: number;
}

/** What only reads, for a connection that does nothing else. */
export interface ReadStatements {
  findPending: Statement<PendingRow>;
  findRoom: Statement<RoomRow>;
  recall: Statement<OutcomeRow>;
}

export interface Statements extends ReadStatements {
  create: Statement;
  countOfDevice: Statement<number>;
  countOfOrigin: Statement<number>;
  take: Statement<{ client1: string }>;
  collect: Statement<string | null>;
  cancel: Statement;
  insertRoom: Statement;
  noteUse: Statement;
  deleteRoom: Statement;
  purgePendings: Statement<string>;
  purgeRooms: Statement;
  sweepPendings: Statement;
  startUse: Statement;
  sweepRooms: Statement;
  record: Statement;
  sweepRecords: Statement;
  countPendings: Statement<number>;
  countRooms: Statement<number>;
  countRecords: Statement<number>;
  probe: Statement;
}

export function prepareReads(db: Database.Database): ReadStatements {
  return {
    findPending: db.prepare<object, PendingRow>(
      'SELECT client1, client2, exp FROM pendings WHERE joinid = @joinCode AND exp > @now',
    ),
    findRoom: db.prepare<object, RoomRow>(
      'SELECT roomid AS roomId, client1, client2, used_at AS usedAt FROM rooms WHERE roomid = @roomId',
    ),
    recall: db.prepare<object, OutcomeRow>(
      'SELECT fingerprint, outcome FROM idempotency WHERE key = @key AND exp > @now',
    ),
  };
}

/**
 * @param limits - most rows that are counted; a part of the text, because SQLite plans a statement anew whenever the value of
 *   a bound LIMIT is set, which took as long as all else of a create
 */
export function prepareStatements(
  db: Database.Database,
  { pendingsPerDevice, pendingsPerAddress }: CountLimits,
): Statements {
  return {
    ...prepareReads(db),
    /** Changes no row when the code is live for another device or already accepted. */
    create: db.prepare(`
      INSERT INTO pendings (joinid, client1, exp, origin) VALUES (@joinCode, @client1, @exp, @origin)
      ON CONFLICT (joinid) DO UPDATE
      SET client1 = excluded.client1, exp = excluded.exp, origin = excluded.origin,
          client2 = NULL, roomid = NULL
      WHERE pendings.exp <= @now
         OR (pendings.client1 = excluded.client1 AND pendings.client2 IS NULL)`),
    /** Live pendings of the device other than this code; counting stops at the limit. */
    countOfDevice: counter(
      db,
      `SELECT 1 FROM pendings WHERE client1 = @client1 AND exp > @now AND joinid <> @joinCode LIMIT ${pendingsPerDevice}`,
    ),
    countOfOrigin: counter(
      db,
      `SELECT 1 FROM pendings WHERE origin = @origin AND exp > @now AND joinid <> @joinCode LIMIT ${pendingsPerAddress}`,
    ),
    /** The commit point of an accept: of racing accepts, one finds client2 still NULL. */
    take: db.prepare<object, { client1: string }>(`
      UPDATE pendings SET client2 = @client2, roomid = @roomId, exp = max(exp, @until)
      WHERE joinid = @joinCode AND exp > @now AND client2 IS NULL AND client1 <> @client2
      RETURNING client1`),
    collect: db
      .prepare<object, string | null>(
        'DELETE FROM pendings WHERE joinid = @joinCode AND client1 = @client1 AND client2 IS NOT NULL RETURNING roomid',
      )
      .pluck(),
    cancel: db.prepare(
      'DELETE FROM pendings WHERE joinid = @joinCode AND client1 = @client1 AND client2 IS NULL',
    ),
    insertRoom: db.prepare(
      'INSERT INTO rooms (roomid, client1, client2, used_at) VALUES (@roomId, @client1, @client2, @now)',
    ),
    noteUse: db.prepare('UPDATE rooms SET used_at = @now WHERE roomid = @roomId'),
    deleteRoom: db.prepare('DELETE FROM rooms WHERE roomid = @roomId'),
    purgePendings: db
      .prepare<object, string>(
        'DELETE FROM pendings WHERE client1 = @deviceId OR client2 = @deviceId RETURNING joinid',
      )
      .pluck(),
    purgeRooms: db.prepare('DELETE FROM rooms WHERE client1 = @deviceId OR client2 = @deviceId'),
    sweepPendings: db.prepare('DELETE FROM pendings WHERE exp <= @now'),
    /** Rooms from before the sweep was turned on start their idle time with its first run. */
    startUse: db.prepare('UPDATE rooms SET used_at = @now WHERE used_at IS NULL'),
    sweepRooms: db.prepare('DELETE FROM rooms WHERE used_at < @before'),
    record: db.prepare(
      'INSERT OR REPLACE INTO idempotency (key, fingerprint, outcome, exp) VALUES (@key, @fingerprint, @outcome, @exp)',
    ),
    sweepRecords: db.prepare('DELETE FROM idempotency WHERE exp <= @now'),
    countPendings: counter(db, 'SELECT 1 FROM pendings'),
    countRooms: counter(db, 'SELECT 1 FROM rooms'),
    countRecords: counter(db, 'SELECT 1 FROM idempotency'),
    probe: db.prepare('INSERT OR REPLACE INTO probe (id, at) VALUES (1, @now)'),
  };
}

function counter(db: Database.Database, select: string) {
  return db.prepare<object, number>(`SELECT count(*) FROM (${select})`).pluck();
}

/** Times in the database. */
export const iso = (time: number): string => new Date(time).toISOString();
