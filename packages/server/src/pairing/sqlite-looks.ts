// What a store can answer by reading alone: outside of any transaction, and so without waiting for a commit.
import type Database from 'better-sqlite3';
import { isSecret } from '../platform/device-secrets.js';
import type { KeyReused, Repeatable } from '../platform/idempotency.js';
import { keepForever } from './database.js';
import { iso, type PendingRow, prepareReads, secretOf } from './sqlite-statements.js';
import type { CheckOutcome, PairingStore, Room } from './store.js';

/** A room's use is noted at most this often: a note is a durable write, and idleness is counted in days. */
const USE_GRANULARITY_MS = 24 * 3600 * 1000;

export type OperationName = Exclude<keyof PairingStore, 'failedGuesses' | 'onChange' | 'close'>;

/** What a store of SQLite has. */
export type SqliteOperations = Required<Pick<PairingStore, OperationName>>;

/** Operations that may come to their outcome by reading; undefined where it takes more. */
export type Looks = {
  readonly [Name in OperationName]?: (
    ...args: Parameters<SqliteOperations[Name]>
  ) => { outcome: Awaited<ReturnType<SqliteOperations[Name]>> } | undefined;
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

    /** A live pending of a device, and whether the device is proved by this; undefined where it is not to be found. */
    pendingOf(joinCode: string, client1: string, now: number, proof: string | undefined) {
      const pending = statements.findPending.get({ joinCode, now: iso(now) });
      if (pending === undefined || pending.client1 !== client1) return undefined;
      const secret = secretOf(pending.secret1, pending.proved1);
      const isProof = secret !== undefined && proof !== undefined && isSecret(proof, secret);
      const isRefused = secret !== undefined && (proof === undefined ? secret.isProved : !isProof);
      return isRefused ? undefined : { ...pending, isProof };
    },

    /** A room, and whether its use is to be noted. */
    find(roomId: string, now: number, roomIdleMs: number) {
      const row = statements.findRoom.get({ roomId });
      if (row === undefined) return { room: undefined, isNoteDue: false };
      const { client1, client2, usedAt } = row;
      const isNoteDue = roomIdleMs > 0 && now - Date.parse(usedAt ?? '') > USE_GRANULARITY_MS;
      const room: Room = {
        roomId,
        client1,
        client2,
        secret1: secretOf(row.secret1, row.proved1),
        secret2: secretOf(row.secret2, row.proved2),
      };
      return { room, isNoteDue };
    },
  };
}

export const waiting = ({ exp }: PendingRow): CheckOutcome => ({
  kind: 'waiting',
  expiresAt: Date.parse(exp),
});

export function sqliteLooks(reads: Reads, { roomIdleMs }: { roomIdleMs: number }): Looks {
  return {
    check(joinCode, client1, now, once, _final, proof) {
      // With a key, the outcome is to be kept.
      if (once !== undefined) return undefined;
      const pending = reads.pendingOf(joinCode, client1, now, proof);
      if (pending === undefined) return { outcome: { kind: 'not_found_or_expired' } };
      const isFirstProof = pending.isProof && pending.proved1 === 0;
      if (pending.client2 !== null || isFirstProof) return undefined;
      return { outcome: waiting(pending) };
    },
    findRoom(roomId, now) {
      const { room, isNoteDue } = reads.find(roomId, now, roomIdleMs);
      return isNoteDue ? undefined : { outcome: room };
    },
    recall: (now, once) => ({ outcome: reads.recall(once, now) as never }),
  };
}
