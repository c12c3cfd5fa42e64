// Copies pairings from the Redis layout of earlier versions: 256 buckets of each kind, each bucket in its own slot.
//
// {p<b>}<code>   a pending: c1 creator, x expiry, secret1, proved1; once accepted: c2, r room id, secret2, d set when
//                the room was written
// {r<b>}<hash>   a room: JSON array of devices, digests of secrets, and which devices have proved themselves;
//                empty: deleted
// {r<b>}index    hashes of rooms by last use
// {i<b>}<hash>   an idempotency record: f fingerprint, o outcome, x expiry
//
// {…}moved, beside the old keys, records what was copied. A repeat therefore copies what old nodes have written since,
// deletes what they have deleted since, and does not restore what new nodes have deleted.
import type { Redis } from '../../redis/client.js';
import { hashOf, keysOf, PUT_PENDING, PUT_RECORD, PUT_ROOM, TAKE_BACK } from './scripts.js';
import { scriptRunner } from './store.js';

export type LayoutCounts = Record<'rooms' | 'pendings' | 'records', number>;

const KINDS = { r: 'rooms', p: 'pendings', i: 'records' } as const;

/** Lifetime of the `moved` entries of pendings and records, in milliseconds. The rows themselves live an hour at most. */
const NOTE_LIFE_MS = 24 * 3600 * 1000;

type Proved = 0 | 1 | 2 | 3;
type Text = string | null | undefined;
type OldRoom = [client1: Text, client2: Text, secret1?: Text, secret2?: Text, proved?: Proved];

/**
 * Copies what was not copied before. May be repeated, and may run beside nodes of either version.
 *
 * @param isFinal - whether to delete the old keys; no node of the old version may then be running
 * @throws Unavailable if Redis becomes unavailable; a repeat continues from there
 */
export async function copyOldLayout(
  redis: Redis,
  prefix: string,
  isFinal: boolean,
): Promise<LayoutCounts> {
  const run = scriptRunner(redis, prefix, false);
  const counts: LayoutCounts = { rooms: 0, pendings: 0, records: 0 };

  const putRoom = async (id: string, room: OldRoom, usedAt: number) => {
    const [client1, client2, secret1, secret2, proved = 0] = room;
    const flags = { proved1: (proved & 1) !== 0, proved2: (proved & 2) !== 0 };
    const unusedMs = Math.max(0, Date.now() - usedAt);
    const values = { id, client1, client2, secret1, secret2, ...flags, unusedMs };
    return (await run(PUT_ROOM, values, 0)) === 1;
  };

  /** Each function reads an old key; resolves to its entry in `moved`, and to a function that writes the new key. */
  const readers = {
    async rooms(key: string, tag: string, id: string) {
      const text = (await redis.command(key, ['GET', key])) as string | null;
      if (!text) return undefined;
      const index = `${tag}index`;
      const usedAt = Number(await redis.command(index, ['ZSCORE', index, id]));
      return { note: id, put: () => putRoom(id, JSON.parse(text) as OldRoom, usedAt) };
    },

    async pendings(key: string, _tag: string, joinCode: string) {
      const fields = ['c1', 'x', 'c2', 'r', 'd', 'secret1', 'secret2', 'proved1'];
      const reply = (await redis.command(key, ['HMGET', key, ...fields])) as (string | null)[];
      const [client1, x, client2, roomId, isDone, secret1, secret2, proved1] = reply;
      if (!client1) return undefined;
      const room = roomId ? hashOf(roomId) : '';
      return {
        note: `${joinCode} ${x} ${room}`,
        async put() {
          // A node stopped between the accept and the write of the room.
          if (room !== '' && !isDone) {
            const old: OldRoom = [client1, client2, secret1, secret2, proved1 === '1' ? 1 : 0];
            if (await putRoom(room, old, Date.now())) counts.rooms += 1;
          }
          const pending = { joinCode, client1, client2, roomId, room, secret1, proved1 };
          return (await run(PUT_PENDING, { ...pending, expiresAt: x }, 0)) === 1;
        },
      };
    },

    async records(key: string, _tag: string, recordId: string) {
      const reply = (await redis.command(key, ['HMGET', key, 'f', 'o', 'x'])) as (string | null)[];
      const [fingerprint, outcome, x] = reply;
      // Without an outcome, the request is still in progress.
      if (fingerprint == null || outcome == null) return undefined;
      const once = { key: '', fingerprint, address: '', keptUntil: Number(x) };
      return {
        note: recordId,
        put: async () =>
          (await run(PUT_RECORD, { outcome }, Date.now(), { once, common: { recordId } })) === 1,
      };
    },
  };

  const start = `^${prefix.replaceAll('.', '\\.')}`;
  const old = new RegExp(`${start}\\{([pri])\\d+\\}`);
  const copy = async (key: string) => {
    const [tag, letter] = old.exec(key) ?? [];
    const name = key.slice(tag?.length);
    if (tag === undefined || name === 'index' || name === 'moved') return;
    const kind = KINDS[letter as keyof typeof KINDS];
    const found = await readers[kind](key, tag, name);
    if (found === undefined) return;
    const notes = `${tag}moved`;
    if ((await redis.command(notes, ['ZSCORE', notes, found.note])) !== null) return;
    if (await found.put()) counts[kind] += 1;
    await redis.command(notes, ['ZADD', notes, '0', found.note]);
    if (kind !== 'rooms') await redis.command(notes, ['PEXPIRE', notes, String(NOTE_LIFE_MS)]);
  };

  /** Deletes the copies of rows that old nodes have deleted since. */
  const takeBack = async (notes: string) => {
    const [tag, letter] = old.exec(notes) ?? [];
    if (!notes.endsWith('}moved') || letter === 'i' || tag === undefined) return;
    for (let start = 0; ; ) {
      const range = ['ZRANGE', notes, String(start), String(start + 999)] as const;
      const noted = (await redis.command(notes, range)) as string[];
      start += noted.length;
      await Promise.all(
        noted.map(async (note) => {
          const [id = '', expiresAt = ''] = note.split(' ');
          const key = tag + id;
          const command = letter === 'r' ? ['GET', key] : ['HGET', key, 'c1'];
          if (await redis.command(key, command as [string, string])) return;
          await run(TAKE_BACK, { id, expiresAt }, 0);
          await redis.command(notes, ['ZREM', notes, note]);
          start -= 1;
        }),
      );
      if (noted.length < 1000) return;
    }
  };

  // Once the deletion of old keys has begun, a missing key no longer means that a node deleted it.
  const [place] = keysOf(prefix);
  const finishing = `${place}finishing`;
  if ((await redis.command(finishing, ['GET', finishing])) === null) {
    for await (const keys of redis.scan(`${prefix}{[pri][0-9]*`)) await Promise.all(keys.map(copy));
    for await (const keys of redis.scan(`${prefix}{[pr][0-9]*}moved`)) {
      await Promise.all(keys.map(takeBack));
    }
    if (!isFinal) return counts;
    await redis.command(finishing, ['SET', finishing, '1']);
  }
  // Keys of pendings, rooms, records, devices, addresses and readiness checks.
  const any = new RegExp(`${start}\\{([prih]\\d+|[do][\\w-]{22})\\}`);
  for await (const keys of redis.scan(`${prefix}{*`)) {
    const mine = keys.filter((key) => any.test(key));
    await Promise.all(mine.map((key) => redis.command(key, ['DEL', key])));
  }
  await redis.command(finishing, ['DEL', finishing]);
  return counts;
}
