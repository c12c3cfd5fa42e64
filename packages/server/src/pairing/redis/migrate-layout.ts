// Copies pairings from the Redis layout of earlier versions: 256 buckets of each kind, each bucket in its own slot.
//
// {p<b>}<code>   a pending: c1 creator, x expiry, secret1, proved1; once accepted: c2, r room id
// {r<b>}<hash>   a room: JSON array of devices, digests of secrets, and which devices have proved themselves;
//                empty: deleted
// {r<b>}index    hashes of rooms by last use
// {i<b>}<hash>   an idempotency record: f fingerprint, o outcome, x expiry
//
// The notes of `import.lua` are the old keys, with the version of a pending. A repeat therefore copies what old nodes
// have written since, deletes what they have deleted since, and does not restore what new nodes have deleted.
import type { Redis } from '../../redis/client.js';
import { importRows } from './import-from-sqlite.js';
import { hashOf, placeOf, scriptRunner } from './scripts.js';

/** Number of notes that are read at once. */
const PORTION = 1000;

/**
 * Copies what was not copied before. May be repeated, and may run beside nodes of either version.
 *
 * @param isFinal - whether to delete the old keys; no node of the old version may then be running
 * @throws Unavailable if Redis becomes unavailable; a repeat continues from there
 */
export async function copyOldLayout(redis: Redis, prefix: string, isFinal: boolean) {
  const run = scriptRunner(redis, prefix);
  const [notes, finishing] = [`${placeOf(prefix)}moved`, `${placeOf(prefix)}finishing`];
  const ask = async <T = string | null>(name: string, key: string, ...args: string[]) =>
    (await redis.command(key, [name, key, ...args])) as T;
  const notesFrom = (start: number) =>
    ask<string[]>('ZRANGE', notes, `${start}`, `${start + PORTION - 1}`);

  /** Reads the old keys of a kind. */
  async function* read(letter: string, rowOf: (key: string, id: string) => Promise<unknown>) {
    for await (const keys of redis.scan(`${prefix}{${letter}[0-9]*`)) {
      const found = keys.filter((key) => !key.endsWith('}index'));
      const rows = await Promise.all(found.map((key) => rowOf(key, key.replace(/^.*\}/, ''))));
      yield rows.filter((row) => row !== undefined);
    }
  }
  const sources = {
    room: read('r', async (key, id) => {
      const text = await ask('GET', key);
      if (!text) return undefined;
      const [client1, client2, secret1, secret2, proved = 0] = JSON.parse(text);
      const [proved1, proved2] = [proved & 1 || null, proved & 2 ? 1 : null];
      const row = { client1, client2, secret1, secret2, proved1, proved2 };
      const usedAt = Number(await ask('ZSCORE', key.replace(/[^}]*$/, 'index'), id));
      return { id, row, usedAt, note: key.slice(prefix.length) };
    }),
    pending: read('p', async (key, id) => {
      const fields = ['c1', 'x', 'c2', 'r', 'secret1', 'proved1'];
      const values = await ask<(string | null)[]>('HMGET', key, ...fields);
      const [client1, expiresAt, client2, roomId, secret1, proved1] = values;
      if (!client1) return undefined;
      const room = roomId && hashOf(roomId);
      const note = `${key.slice(prefix.length)} ${expiresAt} ${room}`;
      return { id, row: { client1, expiresAt, client2, roomId, room, secret1, proved1 }, note };
    }),
    record: read('i', async (key, id) => {
      const [fingerprint, outcome, expiresAt] = await ask<unknown[]>('HMGET', key, 'f', 'o', 'x');
      // Without an outcome, the request is still in progress.
      return outcome == null ? undefined : { id, row: { fingerprint, outcome, expiresAt } };
    }),
  };

  /** Whether the row of a note is still there. */
  const isThere = async (note: string) => {
    const [key = '', expiresAt] = note.split(' ');
    return expiresAt ? ask('HGET', prefix + key, 'c1') : ask('GET', prefix + key);
  };
  /** Deletes the copies of rows that old nodes have deleted since. */
  const takeBack = async () => {
    for (let start = 0; ; ) {
      const some = await notesFrom(start);
      const found = await Promise.all(some.map(isThere));
      const gone = some.filter((_, n) => !found[n]);
      await run('take-back', { notes: 'moved', gone });
      if (some.length < PORTION) return;
      start += some.length - gone.length;
    }
  };

  // Once the deletion of old keys has begun, a missing key no longer means that a node deleted it.
  const isFinishing = (await ask('GET', finishing)) !== null;
  const none = { room: [], pending: [], record: [] };
  const counts = await importRows(run, 'moved', isFinishing ? none : sources);
  if (!isFinishing) await takeBack();
  if (!isFinishing && !isFinal) return counts;
  await ask('SET', finishing, '1');
  // Keys of pendings, rooms, records, devices, addresses and readiness checks.
  const old = /^\{([prih]\d+|[do][\w-]{22})\}/;
  for await (const keys of redis.scan(`${prefix}{*`)) {
    const mine = keys.filter((key) => old.test(key.slice(prefix.length)));
    await Promise.all(mine.map((key) => ask('DEL', key)));
  }
  // In portions, because Redis runs nothing else during one command.
  for (let some = await notesFrom(0); some.length > 0; some = await notesFrom(0)) {
    await ask('ZREM', notes, ...some);
  }
  await ask('DEL', finishing);
  return counts;
}
