// What a store does on SQLite, one plain function per operation; limits are counted where the rows are.
//
// An operation runs within a transaction that it neither begins nor ends (group-commit.ts does). A look needs none: it
// only reads, and says so where that is not enough.
import { createHmac, randomBytes } from 'node:crypto';
import type Database from 'better-sqlite3';
import {
  type DeleteProofs,
  DeleteRule,
  isSecret,
  mayDelete,
  NO_PROOFS,
  secretHash,
} from '../platform/device-secrets.js';
import { Unavailable } from '../platform/http-errors.js';
import type { KeyReused, Repeatable } from '../platform/idempotency.js';
import { keepForever } from './database.js';
import {
  type Looks,
  type OperationName,
  type SqliteOperations,
  sqliteLooks,
  sqliteReads,
  waiting,
} from './sqlite-looks.js';
import { iso, prepareStatements, secretOf } from './sqlite-statements.js';
import type {
  Acceptance,
  AcceptOutcome,
  CancelOutcome,
  CheckOutcome,
  CreateOutcome,
  DeleteOutcome,
  NewPending,
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
      ...args: Parameters<SqliteOperations[Name]>
    ) => Awaited<ReturnType<SqliteOperations[Name]>>;
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
  const { recall, pendingOf, find } = reads;
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
  const create = (pending: NewPending, now: number): CreateOutcome => {
    const { joinCode, client1, expiresAt, address, secret, proof } = pending;
    const values = { joinCode, client1, now: iso(now), origin: originOf(address) };
    const ofDevice = statements.countOfDevice.get(values) as number;
    const ofOrigin = statements.countOfOrigin.get(values) as number;
    if (ofDevice >= limits.pendingsPerDevice || ofOrigin >= limits.pendingsPerAddress) {
      return { kind: 'too_many' };
    }
    let own = secret;
    if (proof !== undefined) {
      const live = statements.findPending.get(values);
      const kept = live && secretOf(live.secret1, live.proved1);
      if (kept && live.client1 === client1) {
        if (!isSecret(proof, kept)) return { kind: 'conflict' };
        // The same again: the answer to this request may get lost too.
        own = proof;
      }
    }
    const row = {
      ...values,
      exp: iso(expiresAt),
      secret1: secretHash(own),
      proved1: own === proof ? 1 : 0,
    };
    if (statements.create.get(row) === undefined) return { kind: 'conflict' };
    changed.push(joinCode);
    return { kind: 'created', expiresAt, secret: own };
  };

  const accept = (
    { joinCode, client2, roomId, collectableUntil, secret }: Acceptance,
    now: number,
  ): AcceptOutcome => {
    if (kept.rooms >= limits.rooms) throw new Unavailable(new Error('no room for another room'));
    const values = { joinCode, client2, roomId, until: iso(collectableUntil), now: iso(now) };
    const taken = statements.take.get(values);
    if (taken !== undefined) {
      const secret2 = secretHash(secret);
      statements.insertRoom.run({ ...taken, roomId, client2, now: iso(now), secret2 });
      kept.rooms += 1;
      changed.push(joinCode);
      return { kind: 'accepted', roomId, secret };
    }
    const pending = statements.findPending.get(values);
    if (pending === undefined) return { kind: 'not_found_or_expired' };
    return { kind: pending.client1 === client2 ? 'own_code' : 'conflict' };
  };

  const check = (
    joinCode: string,
    client1: string,
    now: number,
    proof: string | undefined,
  ): CheckOutcome => {
    const pending = pendingOf(joinCode, client1, now, proof);
    if (pending === undefined) return { kind: 'not_found_or_expired' };
    const { isProof, proved1, client2 } = pending;
    if (client2 === null) {
      if (isProof && proved1 === 0) statements.provePending.run({ joinCode });
      return waiting(pending);
    }
    const roomId = statements.collect.get({ joinCode, client1 });
    if (roomId && isProof) statements.proveRoom.run({ roomId, deviceId: client1 });
    // A room that was deleted or swept before its creator asked leads nowhere.
    return roomId && statements.findRoom.get({ roomId })
      ? { kind: 'collected', roomId }
      : { kind: 'not_found_or_expired' };
  };

  const cancel = (
    joinCode: string,
    client1: string,
    now: number,
    proof: string | undefined,
  ): CancelOutcome => {
    if (pendingOf(joinCode, client1, now, proof)?.client2 === null) {
      statements.deletePending.run({ joinCode });
      changed.push(joinCode);
    }
    return { kind: 'cancelled' };
  };

  const deleteRoom = (roomId: string, proofs: DeleteProofs): DeleteOutcome => {
    const { room } = find(roomId, 0, 0);
    if (room === undefined) return 'absent';
    if (!mayDelete(room, proofs)) return 'forbidden';
    kept.rooms -= statements.deleteRoom.run({ roomId }).changes;
    return 'deleted';
  };

  const purge = (deviceIds: readonly string[], proofs: DeleteProofs): PurgeOutcome => {
    const rule = new DeleteRule(proofs);
    const codes: string[] = [];
    const keptCodes = new Set<string>();
    const keptRooms = new Set<string>();
    let roomsDeleted = 0;
    // One id at a time, bound as it is: a list passed as JSON would be cut at a NUL, and match another device's id.
    for (const deviceId of deviceIds) {
      // Pendings first: theirs are the rooms that decide about them.
      if (!rule.isRequired) {
        codes.push(...statements.purgePendings.all({ deviceId }));
      }
      for (const row of statements.pendingsOf.all({ deviceId })) {
        const { joinCode, secret1, proved1, roomSecret1, roomSecret2, roomProved } = row;
        const kept1 = secretOf(secret1 ?? roomSecret1, Math.max(proved1, roomProved ?? 0));
        if (rule.allows(kept1, secretOf(roomSecret2, roomProved))) {
          statements.deletePending.run({ joinCode });
          codes.push(joinCode);
        } else keptCodes.add(joinCode);
      }
      if (!rule.isRequired) roomsDeleted += statements.purgeRooms.run({ deviceId }).changes;
      for (const { roomId, ...row } of statements.roomsOf.all({ deviceId })) {
        if (rule.allows(secretOf(row.secret1, row.proved1), secretOf(row.secret2, row.proved2))) {
          roomsDeleted += statements.deleteRoom.run({ roomId }).changes;
        } else keptRooms.add(roomId);
      }
    }
    kept.rooms -= roomsDeleted;
    changed.push(...codes);
    return {
      kind: 'purged',
      roomsDeleted,
      pendingsDeleted: codes.length,
      roomsKept: keptRooms.size,
      pendingsKept: keptCodes.size,
    };
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
      check: (joinCode, client1, now, once, final = true, proof = undefined) =>
        run(
          once,
          now,
          () => check(joinCode, client1, now, proof),
          ({ kind }) => final || kind !== 'waiting',
        ),
      cancel: (joinCode, client1, now, once, proof) =>
        run(once, now, () => cancel(joinCode, client1, now, proof)),
      findRoom: (roomId, now) => {
        const { room, isNoteDue } = find(roomId, now, limits.roomIdleMs);
        if (isNoteDue) statements.noteUse.run({ roomId, now: iso(now) });
        return room;
      },
      prove: (roomId, deviceId) => statements.proveRoom.run({ roomId, deviceId }).changes > 0,
      deleteRoom: (roomId, proofs = NO_PROOFS) => deleteRoom(roomId, proofs),
      purge: (deviceIds, now, once, proofs = NO_PROOFS) =>
        run(once, now, () => purge(deviceIds, proofs)),
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
