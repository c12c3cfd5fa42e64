// SQLite → Redis: what is in a database file goes over once, and what Redis has already stays as it is.
//
// Rows that have gone over are noted in the file, under the id that the target keeps: a repeat brings what has come
// since, and nothing that was deleted in Redis meanwhile comes back.
import { randomBytes } from 'node:crypto';
import { defineScript, type Redis } from '../platform/redis.js';
import { openDatabase } from './database.js';
import { storeKeys } from './redis-keys.js';
import { redisRecords } from './redis-records.js';
import { RESERVE } from './redis-room-scripts.js';
import { redisRooms } from './redis-rooms.js';
import { type SecretColumns, secretOf } from './sqlite-statements.js';

type Kind = 'rooms' | 'pendings' | 'records';

/** How many rows of a kind went over, and how many were in Redis already. */
export type ImportCounts = Record<Kind, { copied: number; present: number }>;

interface RoomRow extends SecretColumns {
  id: string;
  client1: string;
  client2: string;
  usedAt: string | null;
}

interface PendingRow extends Pick<SecretColumns, 'secret1' | 'secret2' | 'proved1'> {
  id: string;
  client1: string;
  client2: string | null;
  exp: string;
  roomId: string | null;
  /** 1: the room is there, 0: it was deleted, and the code is still to be collected. */
  hasRoom: number;
}

interface RecordRow {
  id: string;
  fingerprint: string;
  outcome: string;
  exp: string;
}

const IMPORT_PENDING = defineScript(
  'import-pending',
  `
-- KEYS 1 the pending, 2 the index of its bucket
-- ARGV 1 join code, 2 creator, 3 expiry, 4 now, 5 who accepted it, or empty, 6 its room, or empty,
--      7 '1' where there is no room to be made, 8 and 9 digests of the secrets of both, or empty,
--      10 '1' where the creator has proved itself
local x = redis.call('HGET', KEYS[1], 'x')
if x and tonumber(x) > tonumber(ARGV[4]) then return 0 end
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'c1', ARGV[2], 'x', ARGV[3], 'g', '')
if ARGV[5] ~= '' then redis.call('HSET', KEYS[1], 'c2', ARGV[5], 'r', ARGV[6], 'a', '') end
if ARGV[7] == '1' then redis.call('HSET', KEYS[1], 'd', '1') end
for n, field in ipairs({ 'secret1', 'secret2', 'proved1' }) do
  if ARGV[n + 7] ~= '' then redis.call('HSET', KEYS[1], field, ARGV[n + 7]) end
end
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[3], ARGV[1])
return 1`,
);

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
  pendings: `SELECT joinid AS id, pendings.client1, pendings.client2, exp, pendings.roomid AS roomId,
      rooms.roomid IS NOT NULL AS hasRoom, pendings.secret1, rooms.secret2, pendings.proved1
    FROM pendings LEFT JOIN rooms ON rooms.roomid = pendings.roomid
    WHERE exp > @now AND (pendings.client2 IS NULL OR pendings.roomid IS NOT NULL)`,
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
    const keys = storeKeys(prefix);
    const rooms = redisRooms(redis, keys, 0);
    const records = redisRecords(redis, keys, { isFull: () => false, added() {} });
    const noLimit = String(Number.MAX_SAFE_INTEGER);
    const reserve = (key: string, entry: string, until: number) =>
      redis.write(RESERVE, [key], [entry, String(until), String(now), noLimit]);

    /** Each copies one row; resolves to whether Redis did not have it. */
    const copy = {
      rooms({ id, client1, client2, usedAt, ...row }: RoomRow) {
        const secret1 = secretOf(row.secret1, row.proved1);
        const secret2 = secretOf(row.secret2, row.proved2);
        const room = { roomId: id, client1, client2, secret1, secret2 };
        return rooms.put(room, usedAt === null ? now : Date.parse(usedAt));
      },

      async pendings({ id, client1, client2, exp, roomId, hasRoom, ...row }: PendingRow) {
        const expiresAt = Date.parse(exp);
        const [own] = keys.device(client1);
        await reserve(own, `p${id}`, expiresAt);
        const [, accepted] = keys.device(client2 ?? '') as [string, string];
        if (client2 !== null) await reserve(accepted, id, expiresAt);
        const isGone = client2 !== null && hasRoom === 0;
        const isNew = await redis.write(IMPORT_PENDING, keys.pending(id), [
          id,
          client1,
          String(expiresAt),
          String(now),
          client2 ?? '',
          roomId ?? '',
          isGone ? '1' : '',
          row.secret1 ?? '',
          row.secret2 ?? '',
          row.proved1 === 1 ? '1' : '',
        ]);
        return isNew === 1;
      },

      async records({ id, fingerprint, outcome, exp }: RecordRow) {
        const once = { key: id, fingerprint, address: '', keptUntil: Date.parse(exp) };
        if ((await records.recall(once, now)) !== undefined) return false;
        await records.settle(once, now, JSON.parse(outcome));
        return true;
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
      each: (row: Row) => Promise<boolean>,
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
          counts[isNew ? 'copied' : 'present'] += 1;
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
