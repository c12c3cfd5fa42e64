// Implements the operations of the store on SQLite, with the statements that they run. Times in the database are
// ISO 8601 texts of fixed width, so they sort by time.
//
// An operation runs within a transaction that group-commit.ts begins and ends. It throws `Unavailable` only before it has
// written anything. A read runs on the event loop, outside that transaction. It returns undefined if the call needs a write.
import { hash, randomBytes } from 'node:crypto';
import type { PushTarget } from '@couplet/protocol';
import {
  type DeleteProofs,
  type DeviceSecret,
  deleteRule,
  isSecret,
  NO_PROOFS,
  secretHash,
} from '../../base/device-secrets.js';
import { Unavailable } from '../../base/failures.js';
import type { KeyReused, Repeatable } from '../../http/idempotency.js';
import {
  type Acceptance,
  type AcceptOutcome,
  type CancelOutcome,
  type CheckOutcome,
  type ClaimOutcome,
  type CreateOutcome,
  type DeleteOutcome,
  type NewPending,
  type PairingStore,
  type PurgeOutcome,
  type Room,
  type SetPushOutcome,
  type StoreLimits,
  USE_GRANULARITY_MS,
} from '../store.js';
import { type Database, preparing } from './database.js';

export type OperationName = Exclude<keyof PairingStore, 'failedGuesses' | 'onChange' | 'close'>;

/** The operations of a store whose caller keeps the budgets. */
type SqliteOperations = Required<Pick<PairingStore, OperationName>>;

/** Operations that may need only a read. Each returns undefined if it needs a write. */
export type Reads = {
  readonly [Name in OperationName]?: (
    ...args: Parameters<SqliteOperations[Name]>
  ) => { outcome: Awaited<ReturnType<SqliteOperations[Name]>> } | undefined;
};

export interface Operations {
  readonly run: {
    readonly [Name in OperationName]: (
      ...args: Parameters<SqliteOperations[Name]>
    ) => Awaited<ReturnType<SqliteOperations[Name]>>;
  };
  /** Numbers of rows, kept because counting is too slow for a request. The caller restores them after a rollback. */
  kept: { rooms: number; records: number };
  /** Codes for which a check may now return another answer. The caller takes them after a commit. */
  readonly changed: string[];
}

interface PendingRow {
  client1: string;
  client2: string | null;
  exp: string;
  secret1: string | null;
  proved1: number;
  /** Null while waiting, and if the room was deleted. */
  roomId: string | null;
}

/** The push columns of one device of a room. */
interface PushRow {
  token: string | null;
  platform: PushTarget['platform'];
  pushedAt: string | null;
}

interface RoomRow extends Pick<Room, 'roomId' | 'client1' | 'client2'> {
  usedAt: string | null;
  secret1: string | null;
  secret2: string | null;
  proved1: number;
  proved2: number;
}

const ROOM =
  'roomid AS roomId, client1, client2, used_at AS usedAt, secret1, secret2, proved1, proved2';

/** The digest of a secret and whether it is proved, from its columns. */
const secretOf = (hash: string | null, proved: number | null): DeviceSecret | undefined =>
  hash === null ? undefined : { hash, isProved: proved === 1 };

const iso = (time: number): string => new Date(time).toISOString();

const NOT_FOUND = { kind: 'not_found_or_expired' } as const;

const waiting = ({ exp }: Pick<PendingRow, 'exp'>): CheckOutcome => ({
  kind: 'waiting',
  expiresAt: Date.parse(exp),
});

function preparingCount(db: Database) {
  const prepare = preparing(db);
  return (select: string) => {
    const count = prepare<{ n: number }>(`SELECT count(*) AS n FROM (${select})`);
    return (values = {}): number => count.get(values)?.n ?? 0;
  };
}

/** Reads of rows, shared by the reads and the operations. */
function rowReads(db: Database) {
  const prepare = preparing(db);
  const findPending = prepare<PendingRow>(`
    SELECT client1, client2, exp, secret1, proved1,
      (SELECT roomid FROM rooms WHERE rooms.roomid = pendings.roomid) AS roomId
    FROM pendings WHERE joinid = @joinCode AND exp > @now`);
  const findRoom = prepare<RoomRow>(`SELECT ${ROOM} FROM rooms WHERE roomid = @roomId`);
  const findOutcome = prepare<{ fingerprint: string; outcome: string }>(
    'SELECT fingerprint, outcome FROM idempotency WHERE key = @key AND exp > @now',
  );
  const columnOf = (name: string) => `iif(client1 = @deviceId, client1_${name}, client2_${name})`;
  const findPush = prepare<PushRow>(`
    SELECT ${columnOf('token')} AS token, ${columnOf('platform')} AS platform,
      ${columnOf('pushed_at')} AS pushedAt
    FROM rooms WHERE roomid = @roomId AND @deviceId IN (client1, client2)`);
  const live = (joinCode: string, now: number) => findPending.get({ joinCode, now: iso(now) });
  const pushOf = (roomId: string, deviceId: string) => findPush.get({ roomId, deviceId });
  return {
    live,
    pushOf,

    /** The outcome of the first request with this key. */
    recall<T>({ key, fingerprint }: Repeatable, now: number): T | KeyReused | undefined {
      const known = findOutcome.get({ key, now: iso(now) });
      if (known === undefined) return undefined;
      return known.fingerprint === fingerprint ? JSON.parse(known.outcome) : { kind: 'key_reused' };
    },

    /** The state of a live pending, and whether the proof is correct; undefined if there is none or access is refused. */
    pendingOf(joinCode: string, client1: string, now: number, proof: string | undefined) {
      const pending = live(joinCode, now);
      if (pending === undefined || pending.client1 !== client1) return undefined;
      const secret = secretOf(pending.secret1, pending.proved1);
      const isProof = secret !== undefined && proof !== undefined && isSecret(proof, secret);
      const isRefused = secret !== undefined && (proof === undefined ? secret.isProved : !isProof);
      const { client2, exp, roomId } = pending;
      const isFirstProof = isProof && pending.proved1 === 0;
      return isRefused ? undefined : { client2, exp, roomId, isProof, isFirstProof };
    },

    /** A room, and whether its use must be recorded. */
    find(roomId: string, now: number, roomIdleMs: number) {
      const row = findRoom.get({ roomId });
      if (row === undefined) return { room: undefined, isNoteDue: false };
      const { client1, client2, usedAt } = row;
      const isNoteDue = roomIdleMs > 0 && now - Date.parse(usedAt ?? '') > USE_GRANULARITY_MS;
      const secret1 = secretOf(row.secret1, row.proved1);
      const secret2 = secretOf(row.secret2, row.proved2);
      return { room: { roomId, client1, client2, secret1, secret2 }, isNoteDue };
    },

    /** The outcome of a claim, which is not yet recorded. */
    claimOf(roomId: string, deviceId: string, everyMs: number, now: number): ClaimOutcome {
      const push = pushOf(roomId, deviceId);
      if (!push?.token) return { kind: 'no_target' };
      const { token, platform, pushedAt } = push;
      // A time too far in the future was written before the clock was set back.
      const isTooSoon = pushedAt !== null && Math.abs(now - Date.parse(pushedAt)) < everyMs;
      return isTooSoon ? { kind: 'too_soon' } : { kind: 'claimed', target: { platform, token } };
    },
  };
}

/** The reads, for the connection of the event loop. */
export function sqliteReads(db: Database, { roomIdleMs }: Pick<StoreLimits, 'roomIdleMs'>): Reads {
  const rows = rowReads(db);
  const expired = preparing(db)(
    'SELECT 1 FROM pendings WHERE exp <= @now UNION ALL SELECT 1 FROM idempotency WHERE exp <= @now',
  );
  return {
    check(joinCode, client1, now, once, _final, proof) {
      // With a key, the outcome must be stored.
      if (once !== undefined) return undefined;
      const pending = rows.pendingOf(joinCode, client1, now, proof);
      if (pending === undefined) return { outcome: NOT_FOUND };
      if (pending.client2 !== null || pending.isFirstProof) return undefined;
      return { outcome: waiting(pending) };
    },
    findRoom(roomId, now) {
      const { room, isNoteDue } = rows.find(roomId, now, roomIdleMs);
      return isNoteDue ? undefined : { outcome: room };
    },
    recall: (now, once) => ({ outcome: rows.recall(once, now) as never }),
    claimPush(...args) {
      const outcome = rows.claimOf(...args);
      return outcome.kind === 'claimed' ? undefined : { outcome };
    },
    // No index finds idle rooms.
    sweep: (now) =>
      roomIdleMs > 0 || expired.get({ now: iso(now) }) !== undefined
        ? undefined
        : { outcome: { pendings: 0, rooms: 0 } },
  };
}

export function sqliteOperations(db: Database, limits: StoreLimits): Operations {
  const prepare = preparing(db);
  const prepareCount = preparingCount(db);
  const rows = rowReads(db);
  const { recall, pendingOf, find } = rows;
  const changed: string[] = [];
  const kept = {
    rooms: prepareCount('SELECT 1 FROM rooms')(),
    records: prepareCount('SELECT 1 FROM idempotency')(),
  };

  const record = prepare(
    'INSERT INTO idempotency (key, fingerprint, outcome, exp) VALUES (@key, @fingerprint, @outcome, @exp)',
  );
  const removeRecord = prepare('DELETE FROM idempotency WHERE key = @key');
  /** Runs an operation, or returns its stored outcome. */
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
      throw new Unavailable(new Error('MAX_IDEMPOTENCY_RECORDS reached'));
    }
    const outcome = operation();
    if (isFinal(outcome)) {
      // An expired record of this key may not be swept yet.
      kept.records -= removeRecord.run({ key });
      record.run({ key, fingerprint, outcome: JSON.stringify(outcome), exp: iso(keptUntil) });
      kept.records += 1;
    }
    return outcome;
  };

  // A new key at every start, so that stored digests of addresses cannot be matched later.
  const originKey = randomBytes(16).toString('base64url');
  const originOf = (address: string) =>
    hash('sha256', originKey + address, 'base64url').slice(0, 16);
  // Counting stops at the limit. The limits are part of the SQL text, because SQLite plans a statement again whenever a
  // LIMIT parameter is bound, which took as long as the rest of a create.
  const { pendingsPerDevice, pendingsPerAddress } = limits;
  const fewerThan = (most: number, condition: string) =>
    `(SELECT count(*) FROM (SELECT 1 FROM pendings
      WHERE ${condition} AND exp > @now AND joinid <> @joinCode LIMIT ${most})) < ${most}`;
  const findWithinLimits = prepare(`
    SELECT 1 WHERE ${fewerThan(pendingsPerDevice, 'client1 = @client1')}
      AND ${fewerThan(pendingsPerAddress, 'origin = @origin')}`);
  /** Changes no row if the code is live for another device, is accepted, or needs the secret of its creator. */
  const insertPending = prepare(`
    INSERT INTO pendings (joinid, client1, exp, origin, secret1, proved1)
    VALUES (@joinCode, @client1, @exp, @origin, @secret1, @proved1)
    ON CONFLICT (joinid) DO UPDATE
    SET client1 = excluded.client1, exp = excluded.exp, origin = excluded.origin,
        client2 = NULL, roomid = NULL, secret1 = excluded.secret1, proved1 = excluded.proved1,
        client1_token = NULL, platform = NULL
    WHERE pendings.exp <= @now
       OR (pendings.client1 = excluded.client1 AND pendings.client2 IS NULL
           AND pendings.proved1 <= excluded.proved1)`);
  /** A separate statement: as parameters of the others, tokens made each pairing without push 10 % slower. */
  const setPendingPush = prepare(
    'UPDATE pendings SET client1_token = @token, platform = @platform WHERE joinid = @joinCode',
  );
  const create = (pending: NewPending, now: number): CreateOutcome => {
    const { joinCode, client1, expiresAt, address, secret, proof, push } = pending;
    const values = { joinCode, client1, origin: originOf(address), now: iso(now) };
    if (findWithinLimits.get(values) === undefined) return { kind: 'too_many' };
    let own = secret;
    if (proof !== undefined) {
      const live = rows.live(joinCode, now);
      const kept = live && secretOf(live.secret1, live.proved1);
      if (kept && live.client1 === client1) {
        if (!isSecret(proof, kept)) return { kind: 'conflict' };
        // Returns the same secret again, because the answer to this request may be lost too.
        own = proof;
      }
    }
    const row = {
      exp: iso(expiresAt),
      secret1: secretHash(own),
      proved1: own === proof ? 1 : 0,
      ...values,
    };
    if (insertPending.run(row) === 0) return { kind: 'conflict' };
    if (push !== undefined) setPendingPush.run({ joinCode, ...push });
    changed.push(joinCode);
    return { kind: 'created', expiresAt, secret: own };
  };

  /** Decides concurrent accepts: only one of them finds client2 still NULL. The room gets the push token of the pending. */
  const insertRoom = prepare(`
    INSERT INTO rooms (roomid, client1, client2, used_at, secret1, proved1, secret2,
      client1_token, client1_platform)
    SELECT @roomId, client1, @client2, @now, secret1, proved1, @secret2, client1_token, platform
    FROM pendings
    WHERE joinid = @joinCode AND exp > @now AND client2 IS NULL AND client1 <> @client2`);
  const takePending = prepare(`
    UPDATE pendings
    SET client2 = @client2, roomid = @roomId, exp = max(exp, @until),
        client1_token = NULL, platform = NULL
    WHERE joinid = @joinCode`);
  const accept = (
    { joinCode, client2, roomId, collectableUntil, secret, push }: Acceptance,
    now: number,
  ): AcceptOutcome => {
    if (kept.rooms >= limits.rooms) throw new Unavailable(new Error('MAX_ROOMS reached'));
    const room = { joinCode, client2, roomId, secret2: secretHash(secret), now: iso(now) };
    if (insertRoom.run(room) > 0) {
      takePending.run({ joinCode, client2, roomId, until: iso(collectableUntil) });
      if (push !== undefined) setPushTarget(roomId, client2, push);
      kept.rooms += 1;
      changed.push(joinCode);
      return { kind: 'accepted', roomId, secret };
    }
    const pending = rows.live(joinCode, now);
    if (pending === undefined) return NOT_FOUND;
    return { kind: pending.client1 === client2 ? 'own_code' : 'conflict' };
  };

  const deletePending = prepare('DELETE FROM pendings WHERE joinid = @joinCode');
  const provePending = prepare('UPDATE pendings SET proved1 = 1 WHERE joinid = @joinCode');
  const proveRoom = prepare(`
    UPDATE rooms
    SET proved1 = max(proved1, client1 = @deviceId), proved2 = max(proved2, client2 = @deviceId)
    WHERE roomid = @roomId`);
  const check = (
    joinCode: string,
    client1: string,
    now: number,
    proof: string | undefined,
  ): CheckOutcome => {
    const pending = pendingOf(joinCode, client1, now, proof);
    if (pending === undefined) return NOT_FOUND;
    if (pending.client2 === null) {
      if (pending.isFirstProof) provePending.run({ joinCode });
      return waiting(pending);
    }
    deletePending.run({ joinCode });
    const { roomId } = pending;
    // The room was deleted or swept before the creator's check.
    if (roomId === null) return NOT_FOUND;
    if (pending.isProof) proveRoom.run({ roomId, deviceId: client1 });
    return { kind: 'collected', roomId };
  };

  const cancel = (
    joinCode: string,
    client1: string,
    now: number,
    proof: string | undefined,
  ): CancelOutcome => {
    if (pendingOf(joinCode, client1, now, proof)?.client2 === null) {
      deletePending.run({ joinCode });
      changed.push(joinCode);
    }
    return { kind: 'cancelled' };
  };

  const noteUse = prepare('UPDATE rooms SET used_at = @now WHERE roomid = @roomId');
  const findRoom = (roomId: string, now: number): Room | undefined => {
    const { room, isNoteDue } = find(roomId, now, limits.roomIdleMs);
    if (isNoteDue) noteUse.run({ roomId, now: iso(now) });
    return room;
  };

  const removeRoom = prepare('DELETE FROM rooms WHERE roomid = @roomId');
  const deleteRoom = (roomId: string, { secrets, isRequired }: DeleteProofs): DeleteOutcome => {
    const { room } = find(roomId, 0, 0);
    if (room === undefined) return 'absent';
    const { secret1, secret2 } = room;
    // If the room has secrets, a request whose secrets belong to neither device is always refused.
    const isWrong = secrets.length > 0 && (secret1 ?? secret2) !== undefined;
    const mayDelete = deleteRule({ secrets, isRequired: isRequired || isWrong });
    if (!mayDelete(secret1, secret2)) return 'forbidden';
    kept.rooms -= removeRoom.run({ roomId });
    return 'deleted';
  };

  /** Sets a column of the device, and keeps that of the other device. */
  const assign = (name: string) =>
    [1, 2]
      .map((n) => `client${n}_${name} = iif(client${n} = @deviceId, @${name}, client${n}_${name})`)
      .join(', ');
  const updatePush = prepare(`
    UPDATE rooms SET ${assign('token')}, ${assign('platform')}
    WHERE roomid = @roomId AND @deviceId IN (client1, client2)`);
  const setPushTarget = (
    roomId: string,
    deviceId: string,
    target: PushTarget | null,
  ): SetPushOutcome => {
    const { token, platform } = target ?? { token: null, platform: null };
    const isPaired = updatePush.run({ roomId, deviceId, token, platform }) > 0;
    return { kind: isPaired ? 'set' : 'not_paired' };
  };
  const notePush = prepare(`UPDATE rooms SET ${assign('pushed_at')} WHERE roomid = @roomId`);
  const claimPush = (
    roomId: string,
    deviceId: string,
    everyMs: number,
    now: number,
  ): ClaimOutcome => {
    const outcome = rows.claimOf(roomId, deviceId, everyMs, now);
    if (outcome.kind === 'claimed') notePush.run({ roomId, deviceId, pushed_at: iso(now) });
    return outcome;
  };
  const forgetPushTarget = (roomId: string, deviceId: string, target: PushTarget): void => {
    const kept = rows.pushOf(roomId, deviceId);
    const isSame = kept?.token === target.token && kept.platform === target.platform;
    if (isSame) setPushTarget(roomId, deviceId, null);
  };

  /** Pendings of a device, with the secrets of their rooms. */
  const pendingsOf = prepare<
    Pick<PendingRow, 'secret1' | 'proved1'> & {
      joinCode: string;
      roomSecret1: string | null;
      roomSecret2: string | null;
      roomProved: number | null;
    }
  >(`
    SELECT joinid AS joinCode, pendings.secret1, pendings.proved1, rooms.secret1 AS roomSecret1,
      rooms.secret2 AS roomSecret2, max(rooms.proved1, rooms.proved2) AS roomProved
    FROM pendings LEFT JOIN rooms ON rooms.roomid = pendings.roomid
    WHERE pendings.client1 = @deviceId OR pendings.client2 = @deviceId`);
  const roomsOf = prepare<RoomRow>(
    `SELECT ${ROOM} FROM rooms WHERE client1 = @deviceId OR client2 = @deviceId`,
  );
  const purge = (deviceIds: readonly string[], proofs: DeleteProofs): PurgeOutcome => {
    const mayDelete = deleteRule(proofs);
    const codes: string[] = [];
    const keptCodes = new Set<string>();
    const keptRooms = new Set<string>();
    let roomsDeleted = 0;
    // Each id is bound by itself: a list passed as JSON would be cut at a NUL, and could match another device's id.
    for (const deviceId of deviceIds) {
      // Pendings first, because their rooms decide whether they may be deleted.
      for (const row of pendingsOf.all({ deviceId })) {
        const { joinCode, secret1, proved1, roomSecret1, roomSecret2, roomProved } = row;
        const kept1 = secretOf(secret1 ?? roomSecret1, Math.max(proved1, roomProved ?? 0));
        if (mayDelete(kept1, secretOf(roomSecret2, roomProved))) {
          deletePending.run({ joinCode });
          codes.push(joinCode);
        } else keptCodes.add(joinCode);
      }
      for (const { roomId, ...row } of roomsOf.all({ deviceId })) {
        if (mayDelete(secretOf(row.secret1, row.proved1), secretOf(row.secret2, row.proved2))) {
          roomsDeleted += removeRoom.run({ roomId });
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

  const sweepPendings = prepare('DELETE FROM pendings WHERE exp <= @now');
  const sweepRecords = prepare('DELETE FROM idempotency WHERE exp <= @now');
  /** Rooms from before the sweep was enabled start their idle time at its first run. */
  const startUse = prepare('UPDATE rooms SET used_at = @now WHERE used_at IS NULL');
  const sweepRooms = prepare('DELETE FROM rooms WHERE used_at < @before');
  const sweep = (now: number) => {
    const pendings = sweepPendings.run({ now: iso(now) });
    kept.records -= sweepRecords.run({ now: iso(now) });
    if (limits.roomIdleMs === 0) return { pendings, rooms: 0 };
    startUse.run({ now: iso(now) });
    const swept = sweepRooms.run({ before: iso(now - limits.roomIdleMs) });
    kept.rooms -= swept;
    return { pendings, rooms: swept };
  };

  const countPendings = prepareCount('SELECT 1 FROM pendings');
  const counts = () => ({
    pendings: countPendings(),
    rooms: kept.rooms,
    idempotencyRecords: kept.records,
  });

  const probe = prepare('INSERT OR REPLACE INTO probe (id, at) VALUES (1, @now)');

  return {
    kept,
    changed,
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
      findRoom,
      prove: (roomId, deviceId) => proveRoom.run({ roomId, deviceId }) > 0,
      deleteRoom: (roomId, proofs = NO_PROOFS) => deleteRoom(roomId, proofs),
      purge: (deviceIds, now, once, proofs = NO_PROOFS) =>
        run(once, now, () => purge(deviceIds, proofs)),
      recall: (now, once) => recall(once, now),
      firstTime: (now, once) => run(once, now, () => ({ kind: 'first', at: now })),
      setPushTarget: (roomId, deviceId, target, now, once) =>
        run(once, now, () => setPushTarget(roomId, deviceId, target)),
      claimPush,
      forgetPushTarget,
      sweep,
      counts,
      probe: (now) => void probe.run({ now: iso(now) }),
    },
  };
}
