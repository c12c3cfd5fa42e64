// What a store does on SQLite, one plain function per operation; limits are counted where the rows are.
//
// An operation runs within a transaction that it neither begins nor ends (group-commit.ts does). A look needs none: it
// only reads, and says so where that is not enough.
import { createHmac, randomBytes } from 'node:crypto';
import type Database from 'better-sqlite3';
import { Unavailable } from '../platform/http-errors.js';
import type { KeyReused, Repeatable } from '../platform/idempotency.js';
import { keepForever } from './database.js';
import { type Looks, type OperationName, sqliteLooks, sqliteReads } from './sqlite-looks.js';
import { iso, prepareStatements } from './sqlite-statements.js';
import type {
  AcceptOutcome,
  CancelOutcome,
  CheckOutcome,
  CreateOutcome,
  PairingStore,
  PurgeOutcome,
} from './store.js';

export interface StoreLimits {
  /** Rooms nobody asked for in this time are swept, in milliseconds; 0 keeps them for ever. */
  roomIdleMs: number;
  pendingsPerDevice: number;
  pendingsPerAddress: number;
  rooms: number;
  idempotencyRecords: number;
}

export interface Operations {
  readonly run: {
    readonly [Name in OperationName]: (
      ...args: Parameters<PairingStore[Name]>
    ) => Awaited<ReturnType<PairingStore[Name]>>;
  };
  readonly look: Looks;
  /** Numbers of rows, which take longer to count than a request may; put back by whoever rolls back. */
  kept: { rooms: number; records: number };
  /** Codes of which a check may now come to another answer; taken by whoever commits. */
  readonly changed: string[];
}

export function sqliteOperations(db: Database.Database, limits: StoreLimits): Operations {
  const statements = keepForever(prepareStatements(db, limits));
  const reads = sqliteReads(db);
  const { recall, stand, find } = reads;
  const changed: string[] = [];
  const kept = {
    rooms: statements.countRooms.get({}) as number,
    records: statements.countRecords.get({}) as number,
  };

  // A new key at every start: what an address was counted as tells nothing afterwards.
  const originKey = randomBytes(16);
  const originOf = (address: string) =>
    createHmac('sha256', originKey).update(address).digest('base64url').slice(0, 16);

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
    if (kept.records >= limits.idempotencyRecords) {
      throw new Unavailable(new Error('no room for another idempotency record'));
    }
    const outcome = operation();
    if (isFinal(outcome)) {
      const row = { key, fingerprint, outcome: JSON.stringify(outcome), exp: iso(keptUntil) };
      statements.record.run(row);
      kept.records += 1;
    }
    return outcome;
  };
  const create = (
    { joinCode, client1, expiresAt, address }: Parameters<PairingStore['create']>[0],
    now: number,
  ): CreateOutcome => {
    const values = { joinCode, client1, now: iso(now), origin: originOf(address) };
    const ofDevice = statements.countOfDevice.get(values) as number;
    const ofOrigin = statements.countOfOrigin.get(values) as number;
    if (ofDevice >= limits.pendingsPerDevice || ofOrigin >= limits.pendingsPerAddress) {
      return { kind: 'too_many' };
    }
    const { changes } = statements.create.run({ ...values, exp: iso(expiresAt) });
    if (changes === 0) return { kind: 'conflict' };
    changed.push(joinCode);
    return { kind: 'created', expiresAt };
  };

  const accept = (
    { joinCode, client2, roomId, collectableUntil }: Parameters<PairingStore['accept']>[0],
    now: number,
  ): AcceptOutcome => {
    if (kept.rooms >= limits.rooms) throw new Unavailable(new Error('no room for another room'));
    const values = { joinCode, client2, roomId, until: iso(collectableUntil), now: iso(now) };
    const taken = statements.take.get(values);
    if (taken !== undefined) {
      statements.insertRoom.run({ roomId, client1: taken.client1, client2, now: iso(now) });
      kept.rooms += 1;
      changed.push(joinCode);
      return { kind: 'accepted', roomId };
    }
    const pending = statements.findPending.get(values);
    if (pending === undefined) return { kind: 'not_found_or_expired' };
    return { kind: pending.client1 === client2 ? 'own_code' : 'conflict' };
  };

  const check = (joinCode: string, client1: string, now: number): CheckOutcome => {
    const outcome = stand(joinCode, client1, now);
    if (outcome !== undefined) return outcome;
    const roomId = statements.collect.get({ joinCode, client1 });
    // A room that was deleted or swept before its creator asked leads nowhere.
    return roomId && statements.findRoom.get({ roomId })
      ? { kind: 'collected', roomId }
      : { kind: 'not_found_or_expired' };
  };

  const cancel = (joinCode: string, client1: string): CancelOutcome => {
    if (statements.cancel.run({ joinCode, client1 }).changes > 0) changed.push(joinCode);
    return { kind: 'cancelled' };
  };

  const purge = (deviceIds: readonly string[]): PurgeOutcome => {
    // One id at a time, bound as it is: a list passed as JSON would be cut at a NUL, and match another device's id.
    const codes: string[] = [];
    let roomsDeleted = 0;
    for (const deviceId of deviceIds) {
      codes.push(...statements.purgePendings.all({ deviceId }));
      roomsDeleted += statements.purgeRooms.run({ deviceId }).changes;
    }
    kept.rooms -= roomsDeleted;
    changed.push(...codes);
    return { kind: 'purged', roomsDeleted, pendingsDeleted: codes.length };
  };

  const sweep = (now: number) => {
    const pendings = statements.sweepPendings.run({ now: iso(now) }).changes;
    kept.records -= statements.sweepRecords.run({ now: iso(now) }).changes;
    if (limits.roomIdleMs === 0) return { pendings, rooms: 0 };
    statements.startUse.run({ now: iso(now) });
    const swept = statements.sweepRooms.run({ before: iso(now - limits.roomIdleMs) }).changes;
    kept.rooms -= swept;
    return { pendings, rooms: swept };
  };

  const counts = () => ({
    pendings: statements.countPendings.get({}) as number,
    rooms: kept.rooms,
    idempotencyRecords: kept.records,
  });

  return {
    kept,
    changed,
    look: { ...sqliteLooks(reads, limits), counts: () => ({ outcome: counts() }) },
    run: {
      create: (pending, now, once) => run(once, now, () => create(pending, now)),
      accept: (acceptance, now, once) => run(once, now, () => accept(acceptance, now)),
      check: (joinCode, client1, now, once, final = true) =>
        run(
          once,
          now,
          () => check(joinCode, client1, now),
          ({ kind }) => final || kind !== 'waiting',
        ),
      cancel: (joinCode, client1, now, once) => run(once, now, () => cancel(joinCode, client1)),
      findRoom: (roomId, now) => {
        const { room, isNoteDue } = find(roomId, now, limits.roomIdleMs);
        if (isNoteDue) statements.noteUse.run({ roomId, now: iso(now) });
        return room;
      },
      deleteRoom: (roomId) => {
        kept.rooms -= statements.deleteRoom.run({ roomId }).changes;
      },
      purge: (deviceIds, now, once) => run(once, now, () => purge(deviceIds)),
      recall: (now, once) => recall(once, now),
      firstTime: (now, once) => run(once, now, () => ({ kind: 'first', at: now })),
      sweep,
      counts,
      probe: (now) => {
        statements.probe.run({ now: iso(now) });
      },
    },
  };
}
