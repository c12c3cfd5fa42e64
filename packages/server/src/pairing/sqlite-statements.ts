// The statements of the SQLite store, prepared once. Times are ISO 8601 texts of fixed width: their order is their order in time.
import type Database from 'better-sqlite3';
import type { DeviceSecret } from '../platform/device-secrets.js';
import type { Room } from './store.js';

export interface PendingRow {
  client1: string;
  client2: string | null;
  exp: string;
  secret1: string | null;
  proved1: number;
}

/** The columns of a room's secrets. */
export interface SecretColumns {
  secret1: string | null;
  secret2: string | null;
  proved1: number;
  proved2: number;
}

export interface OutcomeRow {
  fingerprint: string;
  outcome: string;
}

export interface RoomRow extends Pick<Room, 'roomId' | 'client1' | 'client2'>, SecretColumns {
  usedAt: string | null;
}

/** A pending of a device that is to be forgotten, with the secrets of its room, where it has one. */
export interface ForgottenPending extends Pick<PendingRow, 'secret1' | 'proved1'> {
  joinCode: string;
  roomSecret1: string | null;
  roomSecret2: string | null;
  roomProved: number | null;
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
  create: Statement<string>;
  countOfDevice: Statement<number>;
  countOfOrigin: Statement<number>;
  take: Statement<Pick<PendingRow, 'client1' | 'secret1' | 'proved1'>>;
  collect: Statement<string | null>;
  provePending: Statement;
  proveRoom: Statement;
  insertRoom: Statement;
  noteUse: Statement;
  deleteRoom: Statement;
  purgePendings: Statement<string>;
  purgeRooms: Statement;
  pendingsOf: Statement<ForgottenPending>;
  roomsOf: Statement<RoomRow>;
  deletePending: Statement;
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

const ROOM =
  'roomid AS roomId, client1, client2, used_at AS usedAt, secret1, secret2, proved1, proved2';

/** What is kept of a secret, from its columns. */
export const secretOf = (hash: string | null, proved: number | null): DeviceSecret | undefined =>
  hash === null ? undefined : { hash, isProved: proved === 1 };

export function prepareReads(db: Database.Database): ReadStatements {
  return {
    findPending: db.prepare<object, PendingRow>(
      'SELECT client1, client2, exp, secret1, proved1 FROM pendings WHERE joinid = @joinCode AND exp > @now',
    ),
    findRoom: db.prepare<object, RoomRow>(`SELECT ${ROOM} FROM rooms WHERE roomid = @roomId`),
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
    /** Changes no row when the code is live for another device, already accepted, or its creator has to prove itself. */
    create: db
      .prepare<object, string>(`
      INSERT INTO pendings (joinid, client1, exp, origin, secret1, proved1)
      VALUES (@joinCode, @client1, @exp, @origin, @secret1, @proved1)
      ON CONFLICT (joinid) DO UPDATE
      SET client1 = excluded.client1, exp = excluded.exp, origin = excluded.origin,
          client2 = NULL, roomid = NULL, secret1 = excluded.secret1, proved1 = excluded.proved1
      WHERE pendings.exp <= @now
         OR (pendings.client1 = excluded.client1 AND pendings.client2 IS NULL
             AND pendings.proved1 <= excluded.proved1)
      RETURNING joinid`)
      .pluck(),
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
    take: db.prepare<object, Pick<PendingRow, 'client1' | 'secret1' | 'proved1'>>(`
      UPDATE pendings SET client2 = @client2, roomid = @roomId, exp = max(exp, @until)
      WHERE joinid = @joinCode AND exp > @now AND client2 IS NULL AND client1 <> @client2
      RETURNING client1, secret1, proved1`),
    collect: db
      .prepare<object, string | null>(
        'DELETE FROM pendings WHERE joinid = @joinCode AND client1 = @client1 AND client2 IS NOT NULL RETURNING roomid',
      )
      .pluck(),
    provePending: db.prepare('UPDATE pendings SET proved1 = 1 WHERE joinid = @joinCode'),
    proveRoom: db.prepare(`
      UPDATE rooms
      SET proved1 = max(proved1, client1 = @deviceId), proved2 = max(proved2, client2 = @deviceId)
      WHERE roomid = @roomId`),
    insertRoom: db.prepare(`
      INSERT INTO rooms (roomid, client1, client2, used_at, secret1, proved1, secret2)
      VALUES (@roomId, @client1, @client2, @now, @secret1, @proved1, @secret2)`),
    noteUse: db.prepare('UPDATE rooms SET used_at = @now WHERE roomid = @roomId'),
    deleteRoom: db.prepare('DELETE FROM rooms WHERE roomid = @roomId'),
    /** Pendings that need no secret. */
    purgePendings: db
      .prepare<object, string>(`
        DELETE FROM pendings
        WHERE (client1 = @deviceId OR client2 = @deviceId) AND proved1 = 0 AND NOT EXISTS (
          SELECT 1 FROM rooms WHERE rooms.roomid = pendings.roomid AND (proved1 = 1 OR proved2 = 1))
        RETURNING joinid`)
      .pluck(),
    /** Rooms that need no secret. */
    purgeRooms: db.prepare(`
      DELETE FROM rooms
      WHERE (client1 = @deviceId OR client2 = @deviceId) AND proved1 = 0 AND proved2 = 0`),
    pendingsOf: db.prepare<object, ForgottenPending>(`
      SELECT joinid AS joinCode, pendings.secret1, pendings.proved1, rooms.secret1 AS roomSecret1,
        rooms.secret2 AS roomSecret2, max(rooms.proved1, rooms.proved2) AS roomProved
      FROM pendings LEFT JOIN rooms ON rooms.roomid = pendings.roomid
      WHERE pendings.client1 = @deviceId OR pendings.client2 = @deviceId`),
    roomsOf: db.prepare<object, RoomRow>(
      `SELECT ${ROOM} FROM rooms WHERE client1 = @deviceId OR client2 = @deviceId`,
    ),
    deletePending: db.prepare('DELETE FROM pendings WHERE joinid = @joinCode'),
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
