// Imports a SQLite database file into Redis.
import type { Redis } from '../../redis/client.js';
import { closeDatabase, openDatabase, preparing } from '../sqlite/database.js';
import { type ImportCounts, importRows } from './import-rows.js';
import { hashOf, scriptRunner } from './scripts.js';

/** Number of rows that one script writes. */
const PORTION = 200;

/** What is converted of a selected row; the other columns have the names of fields in Redis. */
interface Row {
  id: string;
  exp: string;
  usedAt: string | null;
  roomId: string | null;
}

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
  const run = scriptRunner(redis, prefix);
  const db = openDatabase(path);
  function* read(select: string, rowOf: (row: Row) => object) {
    const portion = preparing(db)<Row>(
      `SELECT * FROM (${select}) WHERE id > @after ORDER BY id LIMIT ${PORTION}`,
    );
    for (let rows = portion.all({ after: '' }); rows.length > 0; ) {
      yield rows.map(rowOf);
      rows = portion.all({ after: rows.at(-1)?.id ?? '' });
    }
  }
  const isLive = `exp > '${new Date(now).toISOString()}'`;

  try {
    return await importRows(run, 'imported', {
      room: read(
        `SELECT roomid AS id, used_at AS usedAt, client1, client2, secret1, secret2,
           nullif(proved1, 0) AS proved1, nullif(proved2, 0) AS proved2 FROM rooms`,
        ({ id, usedAt, ...row }) => {
          const room = hashOf(id);
          return { id: room, row, note: room, usedAt: usedAt ? Date.parse(usedAt) : undefined };
        },
      ),
      pending: read(
        `SELECT joinid AS id, exp, client1, client2, roomid AS roomId, secret1,
           nullif(proved1, 0) AS proved1 FROM pendings
         WHERE ${isLive} AND (client2 IS NULL OR roomid IN (SELECT roomid FROM rooms))`,
        ({ id, exp, ...rest }) => {
          const room = rest.roomId && hashOf(rest.roomId);
          const row = { ...rest, room, expiresAt: Date.parse(exp) };
          // A join code may be used again, with another expiry.
          return { id, row, note: `${id} ${exp} ${room}` };
        },
      ),
      record: read(
        `SELECT key AS id, fingerprint, outcome, exp FROM idempotency WHERE ${isLive}`,
        ({ id, exp, ...row }) => ({
          id: hashOf(`key ${id}`),
          row: { ...row, expiresAt: Date.parse(exp) },
        }),
      ),
    });
  } finally {
    closeDatabase(db);
  }
}
