// PairingStore on SQLite: prepared statements, one transaction per operation, limits counted where the rows are.
import { createHmac, randomBytes } from 'node:crypto';
import { Unavailable } from '../platform/http-errors.js';
import type { KeyReused, Repeatable } from '../platform/idempotency.js';
import { keepForever, openDatabase } from './database.js';
import { attempts } from './sqlite-attempts.js';
import { prepareStatements } from './sqlite-statements.js';
import type {
  AcceptOutcome,
  CheckOutcome,
  CreateOutcome,
  PairingStore,
  PurgeOutcome,
  Room,
} from './store.js';

/** A room's use is noted at most this often: a note is a durable write, and idleness is counted in days. */
const USE_GRANULARITY_MS = 24 * 3600 * 1000;

export interface StoreLimits {
  /** Rooms nobody asked for in this time are swept, in milliseconds; 0 keeps them for ever. */
  roomIdleMs: number;
  pendingsPerDevice: number;
  pendingsPerAddress: number;
  rooms: number;
  idempotencyRecords: number;
}

const UNLIMITED: StoreLimits = {
  roomIdleMs: 0,
  pendingsPerDevice: Number.MAX_SAFE_INTEGER,
  pendingsPerAddress: Number.MAX_SAFE_INTEGER,
  rooms: Number.MAX_SAFE_INTEGER,
  idempotencyRecords: Number.MAX_SAFE_INTEGER,
};

/**
 * Opens the store in a database file.
 *
 * @throws DatabaseRefused if the file cannot serve
 */
export function openSqliteStore(path: string, given: Partial<StoreLimits> = {}): PairingStore {
  const limits = { ...UNLIMITED, ...given };
  const db = openDatabase(path);
  const attempt = attempts(db);
  const statements = keepForever(prepareStatements(db));
  const listeners: ((joinCode: string) => void)[] = [];
  const changed = (joinCode: string) => {
    for (const listener of listeners) listener(joinCode);
  };

  // Counting millions of rows takes longer than a request may; whoever changes their number keeps these.
  let rooms = statements.countRooms.get({}) as number;
  let records = statements.countRecords.get({}) as number;

  // A new key at every start: what an address was counted as tells nothing afterwards.
  const originKey = randomBytes(16);
  const originOf = (address: string) =>
    createHmac('sha256', originKey).update(address).digest('base64url').slice(0, 16);

  const recall = <T>({ key, fingerprint }: Repeatable, now: number): T | KeyReused | undefined => {
    const known = statements.recall.get({ key, now: iso(now) });
    if (known === undefined) return undefined;
    return known.fingerprint === fingerprint ? JSON.parse(known.outcome) : { kind: 'key_reused' };
  };

  /** Runs an operation, or finds what it came to the first time. */
  const run = <T extends { kind: string }>(
    once: Repeatable | undefined,
    now: number,
    operation: () => T,
    isFinal: (outcome: T) => boolean = () => true,
  ): T | KeyReused => {
    if (once === undefined) return operation();
    const known = recall<T>(once, now);
    if (known !== undefined) return known;
    const { key, fingerprint, keptUntil } = once;
    if (records >= limits.idempotencyRecords) {
      throw new Unavailable(new Error('no room for another idempotency record'));
    }
    const outcome = operation();
    if (isFinal(outcome)) {
      const row = { key, fingerprint, outcome: JSON.stringify(outcome), exp: iso(keptUntil) };
      statements.record.run(row);
      records += 1;
    }
    return outcome;
  };
  const transaction = db.transaction((operation: () => unknown) => operation());
  const atomically = <T>(operation: () => T): T => {
    const before = { rooms, records };
    try {
      return transaction.immediate(operation) as T;
    } catch (error) {
      // Rolled back, also where only the commit failed: what was counted on the way is not there.
      ({ rooms, records } = before);
      throw error;
    }
  };

  const create = (
    { joinCode, client1, expiresAt, address }: Parameters<PairingStore['create']>[0],
    now: number,
  ): CreateOutcome => {
    const values = { joinCode, client1, now: iso(now), origin: originOf(address) };
    const { pendingsPerDevice, pendingsPerAddress } = limits;
    const ofDevice = statements.countOfDevice.get({
      ...values,
      limit: pendingsPerDevice,
    }) as number;
    const ofOrigin = statements.countOfOrigin.get({
      ...values,
      limit: pendingsPerAddress,
    }) as number;
    if (ofDevice >= pendingsPerDevice || ofOrigin >= pendingsPerAddress)
      return { kind: 'too_many' };
    const { changes } = statements.create.run({ ...values, exp: iso(expiresAt) });
    if (changes === 0) return { kind: 'conflict' };
    changed(joinCode);
    return { kind: 'created', expiresAt };
  };

  const accept = (
    { joinCode, client2, roomId, collectableUntil }: Parameters<PairingStore['accept']>[0],
    now: number,
  ): AcceptOutcome => {
    if (rooms >= limits.rooms) throw new Unavailable(new Error('no room for another room'));
    const values = { joinCode, client2, roomId, until: iso(collectableUntil), now: iso(now) };
    const taken = statements.take.get(values);
    if (taken !== undefined) {
      statements.insertRoom.run({ roomId, client1: taken.client1, client2, now: iso(now) });
      rooms += 1;
      changed(joinCode);
      return { kind: 'accepted', roomId };
    }
    const pending = statements.findPending.get(values);
    if (pending === undefined) return { kind: 'not_found_or_expired' };
    return { kind: pending.client1 === client2 ? 'own_code' : 'conflict' };
  };

  const check = (joinCode: string, client1: string, now: number): CheckOutcome => {
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
  };

  const purge = (deviceIds: readonly string[]): PurgeOutcome => {
    // One id at a time, bound as it is: a list passed as JSON would be cut at a NUL, and match another device's id.
    const codes: string[] = [];
    let roomsDeleted = 0;
    for (const deviceId of deviceIds) {
      codes.push(...statements.purgePendings.all({ deviceId }));
      roomsDeleted += statements.purgeRooms.run({ deviceId }).changes;
    }
    rooms -= roomsDeleted;
    codes.forEach(changed);
    return { kind: 'purged', roomsDeleted, pendingsDeleted: codes.length };
  };

  const sweep = (now: number) => {
    const pendings = statements.sweepPendings.run({ now: iso(now) }).changes;
    records -= statements.sweepRecords.run({ now: iso(now) }).changes;
    if (limits.roomIdleMs === 0) return { pendings, rooms: 0 };
    statements.startUse.run({ now: iso(now) });
    const swept = statements.sweepRooms.run({ before: iso(now - limits.roomIdleMs) }).changes;
    rooms -= swept;
    return { pendings, rooms: swept };
  };

  return {
    create: (pending, now, once) =>
      attempt(() => atomically(() => run(once, now, () => create(pending, now)))),
    accept: (acceptance, now, once) =>
      attempt(() => atomically(() => run(once, now, () => accept(acceptance, now)))),
    check: (joinCode, client1, now, once, final = true) =>
      attempt(() => {
        const operation = () =>
          run(
            once,
            now,
            () => check(joinCode, client1, now),
            ({ kind }) => final || kind !== 'waiting',
          );
        // Without a key, a check that finds nothing to collect only reads.
        return once === undefined ? operation() : atomically(operation);
      }),
    findRoom: (roomId, now) =>
      attempt<Room | undefined>(() => {
        const row = statements.findRoom.get({ roomId });
        if (row === undefined) return undefined;
        const { usedAt, ...room } = row;
        if (limits.roomIdleMs > 0 && now - Date.parse(usedAt ?? '') > USE_GRANULARITY_MS) {
          statements.noteUse.run({ roomId, now: iso(now) });
        }
        return room;
      }),
    deleteRoom: (roomId) =>
      attempt(() => {
        rooms -= statements.deleteRoom.run({ roomId }).changes;
      }),
    purge: (deviceIds, now, once) =>
      attempt(() => atomically(() => run(once, now, () => purge(deviceIds)))),
    recall: (now, once) => attempt(() => recall(once, now)),
    firstTime: (now, once) =>
      attempt(() => atomically(() => run(once, now, () => ({ kind: 'first', at: now })))),
    sweep: (now) => attempt(() => atomically(() => sweep(now))),
    counts: () =>
      attempt(() => ({
        pendings: statements.countPendings.get({}) as number,
        rooms,
        idempotencyRecords: records,
      })),
    probe: (now) =>
      attempt(() => {
        statements.probe.run({ now: iso(now) });
      }),
    onChange(listener) {
      listeners.push(listener);
    },
    close: () =>
      attempt(() => {
        db.close();
      }),
  };
}

/** Times in the database. */
const iso = (time: number): string => new Date(time).toISOString();
