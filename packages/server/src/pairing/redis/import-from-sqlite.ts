// Imports a SQLite database file into Redis. Each row is copied once; rows that Redis already has are not changed.
//
// The import records each copied row in the file, under an id that is stored in the target Redis. A repeat therefore
// copies only rows that were added since, and does not restore a row that was deleted in Redis.
import { randomBytes } from 'node:crypto';
import { defineScript, type Redis } from '../../redis/client.js';
import { closeDatabase, inTransaction, openDatabase, preparing } from '../sqlite/database.js';
import type { SecretColumns } from '../sqlite/operations.js';
import { hashOf, PUT_PENDING, PUT_RECORD, PUT_ROOM } from './scripts.js';
import { scriptRunner } from './store.js';

type Kind = 'rooms' | 'pendings' | 'records';

/** Numbers of rows of each kind that were copied, and that Redis already had. */
export type ImportCounts = Record<Kind, { copied: number; present: number }>;

interface RoomRow extends SecretColumns {
  id: string;
  client1: string;
  client2: string;
  usedAt: string | null;
}

interface PendingRow extends Pick<SecretColumns, 'secret1' | 'proved1'> {
  id: string;
  client1: string;
  client2: string | null;
  exp: string;
  roomId: string | null;
}

interface RecordRow {
  id: string;
  fingerprint: string;
  outcome: string;
  exp: string;
}

const NAME_TARGET = defineScript(
  'name-target',
  `
-- KEYS 1: the key that holds the id of this Redis as a target
-- ARGV 1: the id to set if there is none
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`,
);

/** Number of rows copied at once. */
const PORTION = 200;

const SELECTS: Record<Kind, string> = {
  rooms: `SELECT roomid AS id, client1, client2, used_at AS usedAt, secret1, secret2, proved1, proved2
    FROM rooms`,
  pendings: `SELECT joinid AS id, client1, client2, exp, roomid AS roomId, secret1, proved1
    FROM pendings WHERE exp > @now AND (client2 IS NULL OR roomid IS NOT NULL)`,
  records: 'SELECT key AS id, fingerprint, outcome, exp FROM idempotency WHERE exp > @now',
};

/**
 * Copies a database file into Redis. May be repeated, and may run while servers use the file or Redis.
 *
 * @throws DatabaseRefused if the file is not a Couplet database
 * @throws Unavailable if Redis becomes unavailable; a repeat continues from there
 */
export async function importToRedis(
  path: string,
  redis: Redis,
  prefix: string,
  now: number,
): Promise<ImportCounts> {
  const db = openDatabase(path);
  try {
    const run = scriptRunner(redis, prefix, false);
    /** Each function copies one row; resolves to 1 if Redis did not have it. */
    const copy = {
      rooms({ id, usedAt, ...row }: RoomRow) {
        const flags = { proved1: row.proved1 === 1, proved2: row.proved2 === 1 };
        const unusedMs = usedAt === null ? 0 : now - Date.parse(usedAt);
        return run(PUT_ROOM, { ...row, ...flags, id: hashOf(id), unusedMs }, now);
      },

      pendings({ id, exp, roomId, ...row }: PendingRow) {
        const values = { ...row, joinCode: id, roomId, room: roomId && hashOf(roomId) };
        const proved1 = row.proved1 === 1;
        return run(PUT_PENDING, { ...values, proved1, expiresAt: Date.parse(exp) }, now);
      },

      records({ id, fingerprint, outcome, exp }: RecordRow) {
        const once = { key: id, fingerprint, address: '', keptUntil: Date.parse(exp) };
        return run(PUT_RECORD, { outcome }, Date.now(), { once });
      },
    };

    db.exec(`CREATE TABLE IF NOT EXISTS migrated (
      target TEXT NOT NULL, -- id of the Redis that has the row
      kind   TEXT NOT NULL, -- rooms, pendings, records
      id     TEXT NOT NULL, -- room id, join code with its expiry, or idempotency key
      PRIMARY KEY (target, kind, id)
    ) WITHOUT ROWID`);
    const name = randomBytes(9).toString('base64url');
    const target = String(await redis.write(NAME_TARGET, [`${prefix}{k}target`], [name]));
    const prepare = preparing(db);
    const note = prepare('INSERT OR IGNORE INTO migrated VALUES (@target, @kind, @id)');

    const copyAll = async <Row extends { id: string }>(
      kind: Kind,
      each: (row: Row) => Promise<unknown>,
    ) => {
      const counts = { copied: 0, present: 0 };
      // A join code may be used again, with another expiry.
      const noted = kind === 'pendings' ? "id || ' ' || exp" : 'id';
      const left = prepare<Row & { noted: string }>(
        `SELECT *, ${noted} AS noted FROM (${SELECTS[kind]}) WHERE NOT EXISTS (
           SELECT 1 FROM migrated WHERE target = @target AND kind = @kind AND migrated.id = noted)
         LIMIT ${PORTION}`,
      );
      // Rooms do not expire, so their statement has no parameter `now`.
      const values = {
        target,
        kind,
        ...(kind === 'rooms' ? {} : { now: new Date(now).toISOString() }),
      };
      for (;;) {
        const rows = left.all(values);
        if (rows.length === 0) return counts;
        for (const isNew of await Promise.all(rows.map(each))) {
          counts[isNew === 1 ? 'copied' : 'present'] += 1;
        }
        inTransaction(db, () => {
          for (const { noted } of rows) note.run({ target, kind, id: noted });
        });
      }
    };
    // Rooms first, so that the room of an accepted pending exists.
    return {
      rooms: await copyAll('rooms', copy.rooms),
      pendings: await copyAll('pendings', copy.pendings),
      records: await copyAll('records', copy.records),
    };
  } finally {
    closeDatabase(db);
  }
}
