// What a store can answer by reading alone: outside of any transaction, and so without waiting for a commit.
import type Database from 'better-sqlite3';
import type { KeyReused, Repeatable } from '../platform/idempotency.js';
import { keepForever } from './database.js';
import { iso, prepareReads } from './sqlite-statements.js';
import type { CheckOutcome, PairingStore, Room } from './store.js';

/** A room's use is noted at most this often: a note is a durable write, and idleness is counted in days. */
const USE_GRANULARITY_MS = 24 * 3600 * 1000;

export type OperationName = Exclude<keyof PairingStore, 'onChange' | 'close'>;

/** Operations that may come to their outcome by reading; undefined where it takes more. */
export type Looks = {
  readonly [Name in OperationName]?: (
    ...args: Parameters<PairingStore[Name]>
  ) => { outcome: Awaited<ReturnType<PairingStore[Name]>> } | undefined;
};

export type Reads = ReturnType<typeof sqliteReads>;

export function sqliteReads(db: Database.Database) {
  const statements = keepForever(prepareReads(db));
  return {
    /** What the first request with this key came to. */
    recall<T>({ key, fingerprint }: Repeatable, now: number): T | KeyReused | undefined {
      const known = statements.recall.get({ key, now: iso(now) });
      if (known === undefined) return undefined;
      return known.fingerprint === fingerprint ? JSON.parse(known.outcome) : { kind: 'key_reused' };
    },

    /** How a pending stands; undefined where it was accepted, and is to be collected. */
    stand(joinCode: string, client1: string, now: number): CheckOutcome | undefined {
      const pending = statements.findPending.get({ joinCode, now: iso(now) });
      if (pending === undefined || pending.client1 !== client1) {
        return { kind: 'not_found_or_expired' };
      }
      if (pending.client2 !== null) return undefined;
      return { kind: 'waiting', expiresAt: Date.parse(pending.exp) };
    },

    /** A room, and whether its use is to be noted. */
    find(roomId: string, now: number, roomIdleMs: number) {
      const row = statements.findRoom.get({ roomId });
      if (row === undefined) return { room: undefined, isNoteDue: false };
      const { usedAt, ...room } = row;
      const isNoteDue = roomIdleMs > 0 && now - Date.parse(usedAt ?? '') > USE_GRANULARITY_MS;
      return { room: room as Room, isNoteDue };
    },
  };
}

export function sqliteLooks(reads: Reads, { roomIdleMs }: { roomIdleMs: number }): Looks {
  return {
    check(joinCode, client1, now, once) {
      // With a key, the outcome is to be kept.
      const outcome = once === undefined ? reads.stand(joinCode, client1, now) : undefined;
      return outcome && { outcome };
    },
    findRoom(roomId, now) {
      const { room, isNoteDue } = reads.find(roomId, now, roomIdleMs);
      return isNoteDue ? undefined : { outcome: room };
    },
    recall: (now, once) => ({ outcome: reads.recall(once, now) as never }),
  };
}
