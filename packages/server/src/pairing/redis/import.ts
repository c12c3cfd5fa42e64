// SQLite → Redis: what is in a database file goes over once, and what Redis has already stays as it is.
//
// Rows that have gone over are noted in the file, under the id that the target keeps: a repeat brings what has come
// since, and nothing that was deleted in Redis meanwhile comes back.
import { randomBytes } from 'node:crypto';
import { defineScript, type Redis } from '../../redis/redis.js';
import { openDatabase } from '../sqlite/database.js';
import type { SecretColumns } from '../sqlite/operations.js';
import { hashOf, PUT_PENDING, PUT_RECORD, PUT_ROOM } from './scripts.js';
import { scriptRunner } from './store.js';

type Kind = 'rooms' | 'pendings' | 'records';

/** How many rows of a kind went over, and how many were in Redis already. */
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
-- KEYS 1 the id of what this Redis holds
-- ARGV 1 what it is to be where there is none
redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])`,
);

/** Rows that go over at once. */
const PORTION = 200;

const SELECTS: Record<Kind, string> = {
  rooms: `SELECT roomid AS id, client1, client2, used_at AS usedAt, secret1, secret2, proved1, proved2
    FROM rooms`,
  pendings: `SELECT joinid AS id, client1, client2, exp, roomid AS roomId, secret1, proved1
    FROM pendings WHERE exp > @now AND (client2 IS NULL OR roomid IS NOT NULL)`,
  records: 'SELECT key AS id, fingerprint, outcome, exp FROM idempotency WHERE exp > @now',
};

/**
 * Copies a database file into Redis; may be repeated, also while servers run on either side.
 *
 * @throws DatabaseRefused if the file is no database of ours
 * @throws Unavailable if Redis goes away; a repeat goes on from there
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
    /** Each copies one row; resolves to 1 if Redis did not have it. */
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
      id     TEXT NOT NULL, -- room id, join code, idempotency key; of a pending with its expiry
      PRIMARY KEY (target, kind, id)
    ) WITHOUT ROWID`);
    const name = randomBytes(9).toString('base64url');
    const target = String(await redis.write(NAME_TARGET, [`${prefix}{k}target`], [name]));
    const note = db.prepare('INSERT OR IGNORE INTO migrated VALUES (@target, @kind, @id)');
    const noteAll = db.transaction((kind: Kind, ids: string[]) => {
      for (const id of ids) note.run({ target, kind, id });
    });

    const copyAll = async <Row extends { id: string }>(
      kind: Kind,
      each: (row: Row) => Promise<unknown>,
    ) => {
      const counts = { copied: 0, present: 0 };
      // A code comes again, with another expiry.
      const noted = kind === 'pendings' ? "id || ' ' || exp" : 'id';
      const left = db.prepare<object, Row & { noted: string }>(
        `SELECT *, ${noted} AS noted FROM (${SELECTS[kind]}) WHERE NOT EXISTS (
           SELECT 1 FROM migrated WHERE target = @target AND kind = @kind AND migrated.id = noted)
         LIMIT ${PORTION}`,
      );
      for (;;) {
        const rows = left.all({ target, kind, now: new Date(now).toISOString() });
        if (rows.length === 0) return counts;
        for (const isNew of await Promise.all(rows.map(each))) {
          counts[isNew === 1 ? 'copied' : 'present'] += 1;
        }
        noteAll(
          kind,
          rows.map((row) => row.noted),
        );
      }
    };
    // Rooms first: an accepted pending finds its own.
    return {
      rooms: await copyAll('rooms', copy.rooms),
      pendings: await copyAll('pendings', copy.pendings),
      records: await copyAll('records', copy.records),
    };
  } finally {
    db.close();
  }
}
