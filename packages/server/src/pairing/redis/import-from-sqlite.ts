// Imports rows into Redis: those of a SQLite database file, or those that migrate-layout.ts reads.
import type { Redis } from '../../redis/client.js';
import { closeDatabase, openDatabase, preparing } from '../sqlite/database.js';
import { hashOf, scriptRunner } from './scripts.js';

/** Number of rows that one script writes. */
const PORTION = 200;

/**
 * Copies a database file into Redis. May be repeated, and may run while servers use the file or Redis.
 *
 * @throws DatabaseRefused if the file is not a Couplet database
 * @throws Unavailable if Redis becomes unavailable; a repeat continues from there
 */
export async function importToRedis(path: string, redis: Redis, prefix: string, now: number) {
  const run = scriptRunner(redis, prefix);
  const db = openDatabase(path);
  db.function('digest', (text: string | null) => text && hashOf(text));
  db.function('milliseconds', Date.parse);
  /** Reads in portions, by `key`. The columns that are not taken here have the names of fields in Redis. */
  function* read(select: string) {
    const portion = preparing(db)<{ key: string; id: string; note?: string; usedAt?: number }>(
      `SELECT * FROM (${select}) WHERE key > @after ORDER BY key LIMIT ${PORTION}`,
    );
    for (let rows = portion.all({ after: '' }); rows.length > 0; ) {
      yield rows.map(({ key, id, note, usedAt, ...row }) => ({ id, note, usedAt, row }));
      rows = portion.all({ after: rows.at(-1)?.key ?? '' });
    }
  }
  const time = `'${new Date(now).toISOString()}'`;

  try {
    return await importRows(run, 'imported', {
      room: read(`
        SELECT roomid AS key, digest(roomid) AS id, digest(roomid) AS note,
          milliseconds(ifnull(used_at, ${time})) AS usedAt, client1, client2, secret1, secret2,
          nullif(proved1, 0) AS proved1, nullif(proved2, 0) AS proved2,
          client1_token AS token1, client1_platform AS platform1,
          client2_token AS token2, client2_platform AS platform2 FROM rooms`),
      // A join code may be used again, with another expiry.
      pending: read(`
        SELECT joinid AS key, joinid AS id,
          joinid || ' ' || exp || ' ' || ifnull(digest(roomid), 'null') AS note,
          client1, client2, secret1, nullif(proved1, 0) AS proved1, roomid AS roomId,
          client1_token AS token1, platform AS platform1,
          digest(roomid) AS room, milliseconds(exp) AS expiresAt FROM pendings
        WHERE exp > ${time} AND (client2 IS NULL OR roomid IN (SELECT roomid FROM rooms))`),
      record: read(`
        SELECT key, digest('key ' || key) AS id, fingerprint, outcome,
          milliseconds(exp) AS expiresAt FROM idempotency WHERE exp > ${time}`),
    });
  } finally {
    closeDatabase(db);
  }
}

/** Rooms are first, because an accepted pending is imported only if its room is there. */
export const IMPORT_KINDS = ['room', 'pending', 'record'] as const;
type ImportKind = (typeof IMPORT_KINDS)[number];

/**
 * Resolves to the numbers of rows that were copied now, and that were copied before or were in Redis anyway.
 *
 * @param sources - the rows for `import.lua`, in portions
 */
export async function importRows(
  run: ReturnType<typeof scriptRunner>,
  notes: string,
  sources: Record<ImportKind, Iterable<unknown[]> | AsyncIterable<unknown[]>>,
) {
  const counts = {} as Record<ImportKind, { copied: number; present: number }>;
  for (const kind of IMPORT_KINDS) {
    counts[kind] = { copied: 0, present: 0 };
    for await (const rows of sources[kind]) {
      const copied = Number(await run('import', { kind, notes, rows }));
      counts[kind].copied += copied;
      counts[kind].present += rows.length - copied;
    }
  }
  return counts;
}
