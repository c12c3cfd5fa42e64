// PairingStore on SQLite: prepared statements, one transaction per operation.
import type Database from 'better-sqlite3';
import { Unavailable } from '../platform/http-errors.js';
import { keepForever, openDatabase } from './database.js';
import type { CheckOutcome, PairingStore, Room } from './store.js';

/** A room's use is noted at most this often: a note is a durable write, and idleness is counted in days. */
const USE_GRANULARITY_MS = 24 * 3600 * 1000;

/**
 * Opens the store in a database file.
 *
 * @param roomIdleMs - rooms nobody asked for in this time are swept; 0 keeps them for ever
 * @throws DatabaseRefused if the file cannot serve
 */
export function openSqliteStore(path: string, roomIdleMs = 0): PairingStore {
  const db = openDatabase(path);
  const statements = keepForever(prepare(db));
  const listeners: ((joinCode: string) => void)[] = [];
  const changed = (joinCode: string) => {
    for (const listener of listeners) listener(joinCode);
  };

  const accept = db.transaction(
    (joinCode: string, client2: string, roomId: string, until: string, now: string) => {
      const taken = statements.take.get({ joinCode, client2, roomId, until, now });
      if (taken === undefined) return undefined;
      statements.insertRoom.run({ roomId, client1: taken.client1, client2, now });
      return taken;
    },
  );
  const purge = db.transaction((deviceIds: readonly string[]) => {
    // One id at a time, bound as it is: a list passed as JSON would be cut at a NUL, and match another device's id.
    const codes: string[] = [];
    let roomsDeleted = 0;
    for (const deviceId of deviceIds) {
      codes.push(...statements.purgePendings.all({ deviceId }));
      roomsDeleted += statements.purgeRooms.run({ deviceId }).changes;
    }
    return { codes, roomsDeleted };
  });
  const sweep = db.transaction((now: number) => {
    const pendings = statements.sweepPendings.run({ now: iso(now) }).changes;
    if (roomIdleMs === 0) return { pendings, rooms: 0 };
    statements.startUse.run({ now: iso(now) });
    const rooms = statements.sweepRooms.run({ before: iso(now - roomIdleMs) }).changes;
    return { pendings, rooms };
  });

  return {
    create: (joinCode, client1, expiresAt, now) =>
      attempt(() => {
        const values = { joinCode, client1, exp: iso(expiresAt), now: iso(now) };
        if (statements.create.run(values).changes === 0) return { kind: 'conflict' };
        changed(joinCode);
        return { kind: 'created' };
      }),

    accept: (joinCode, client2, roomId, collectableUntil, now) =>
      attempt(() => {
        const until = iso(collectableUntil);
        if (accept.immediate(joinCode, client2, roomId, until, iso(now)) !== undefined) {
          changed(joinCode);
          return { kind: 'accepted' };
        }
        const pending = statements.findPending.get({ joinCode, now: iso(now) });
        if (pending === undefined) return { kind: 'not_found_or_expired' };
        return { kind: pending.client1 === client2 ? 'own_code' : 'conflict' };
      }),

    check: (joinCode, client1, now) =>
      attempt<CheckOutcome>(() => {
        const pending = statements.findPending.get({ joinCode, now: iso(now) });
        if (pending === undefined || pending.client1 !== client1) {
          return { kind: 'not_found_or_expired' };
        }
        if (pending.client2 === null) {
          return { kind: 'waiting', expiresAt: Date.parse(pending.exp) };
        }
        // Another process may collect at this very moment: only the one whose delete hits has the answer.
        const roomId = statements.collect.get({ joinCode, client1 });
        return roomId ? { kind: 'collected', roomId } : { kind: 'not_found_or_expired' };
      }),

    findRoom: (roomId, now) =>
      attempt<Room | undefined>(() => {
        const row = statements.findRoom.get({ roomId });
        if (row === undefined) return undefined;
        const { usedAt, ...room } = row;
        if (roomIdleMs > 0 && now - Date.parse(usedAt ?? '') > USE_GRANULARITY_MS) {
          statements.noteUse.run({ roomId, now: iso(now) });
        }
        return room;
      }),

    deleteRoom: (roomId) =>
      attempt(() => {
        statements.deleteRoom.run({ roomId });
      }),

    purge: (deviceIds) =>
      attempt(() => {
        const { codes, roomsDeleted } = purge.immediate(deviceIds);
        codes.forEach(changed);
        return { roomsDeleted, pendingsDeleted: codes.length };
      }),

    sweep: (now) => attempt(() => sweep.immediate(now)),

    onChange(listener) {
      listeners.push(listener);
    },

    close: () =>
      attempt(() => {
        db.close();
      }),
  };
}

/** Times in the database: fixed width, so that their order as text is their order in time. */
const iso = (time: number): string => new Date(time).toISOString();

/** Runs one operation; what SQLite refuses for outside reasons (lock, disk, damaged file) becomes `Unavailable`. */
async function attempt<T>(operation: () => T): Promise<T> {
  try {
    return operation();
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (typeof code === 'string' && OUTSIDE_REASONS.test(code)) throw new Unavailable(error);
    throw error;
  }
}

const OUTSIDE_REASONS =
  /^SQLITE_(BUSY|LOCKED|FULL|IOERR|CANTOPEN|READONLY|PROTOCOL|NOMEM|CORRUPT|NOTADB)/;

interface PendingRow {
  client1: string;
  client2: string | null;
  exp: string;
}

function prepare(db: Database.Database) {
  return {
    /** Changes no row when the code is live for another device or already accepted. */
    create: db.prepare(`
      INSERT INTO pendings (joinid, client1, exp) VALUES (@joinCode, @client1, @exp)
      ON CONFLICT (joinid) DO UPDATE
      SET client1 = excluded.client1, exp = excluded.exp, client2 = NULL, roomid = NULL
      WHERE pendings.exp <= @now
         OR (pendings.client1 = excluded.client1 AND pendings.client2 IS NULL)`),
    findPending: db.prepare<object, PendingRow>(
      'SELECT client1, client2, exp FROM pendings WHERE joinid = @joinCode AND exp > @now',
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
    insertRoom: db.prepare(
      'INSERT INTO rooms (roomid, client1, client2, used_at) VALUES (@roomId, @client1, @client2, @now)',
    ),
    findRoom: db.prepare<object, Room & { usedAt: string | null }>(
      'SELECT roomid AS roomId, client1, client2, used_at AS usedAt FROM rooms WHERE roomid = @roomId',
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
  };
}
