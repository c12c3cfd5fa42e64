// Implements the operations of the store on SQLite, with the statements that they run. Times in the database are
// ISO 8601 texts of fixed width, so they sort by time.
//
// An operation runs within a transaction that group-commit.ts begins and ends. It throws `Unavailable` only before it has
// written anything. On the event loop, an operation runs outside any transaction, and throws NEEDS_WRITE in place of a write.
import { hash, randomBytes } from 'node:crypto';
import type { PushTarget } from '@couplet/protocol';
import {
  type DeviceSecret,
  deleteRule,
  isSecret,
  NO_PROOFS,
  secretHash,
} from '../../base/device-secrets.js';
import { Unavailable } from '../../base/failures.js';
import type { KeyReused, Repeatable } from '../../http/idempotency.js';
import {
  type CheckOutcome,
  type PairingStore,
  type Room,
  type StoreLimits,
  USE_GRANULARITY_MS,
} from '../store.js';
import { type Database, preparing, type Values } from './database.js';

export type OperationName = Exclude<keyof PairingStore, 'failedGuesses' | 'onChange' | 'close'>;

/** The operations of a store whose caller keeps the budgets. */
type SqliteOperations = Required<Pick<PairingStore, OperationName>>;

/** The same operations with their outcomes instead of promises. */
type Operations = {
  readonly [Name in OperationName]: (
    ...args: Parameters<SqliteOperations[Name]>
  ) => Awaited<ReturnType<SqliteOperations[Name]>>;
};

/** Thrown by an operation that would have to write on a connection that only reads. */
export const NEEDS_WRITE = new Error('the operation needs a write');

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

/** @param isReader - whether the connection only reads. Its operations then throw {@link NEEDS_WRITE}. */
export function sqliteOperations(db: Database, limits: StoreLimits, isReader: boolean) {
  const prepare = preparing(db);
  /** Prepares a statement that returns the number of changed rows. */
  const preparingWrite = (sql: string): ((values: Values) => number) => {
    if (!isReader) return prepare(sql).run;
    return () => {
      throw NEEDS_WRITE;
    };
  };
  const countOf = (table: string) =>
    prepare<{ n: number }>(`SELECT count(*) AS n FROM ${table}`).get()?.n ?? 0;
  /** Codes for which a check may now return another answer. The caller takes them after a commit. */
  const changed: string[] = [];
  /** Numbers of rows, kept because counting is too slow for a request. The caller restores them after a rollback. */
  const kept = {
    rooms: isReader ? 0 : countOf('rooms'),
    records: isReader ? 0 : countOf('idempotency'),
  };

  const findOutcome = prepare<{ fingerprint: string; outcome: string }>(
    'SELECT fingerprint, outcome FROM idempotency WHERE key = @key AND exp > @now',
  );
  /** The outcome of the first request with this key. */
  const recall = <T>(now: number, { key, fingerprint }: Repeatable): T | KeyReused | undefined => {
    const known = findOutcome.get({ key, now: iso(now) });
    if (known === undefined) return undefined;
    return known.fingerprint === fingerprint ? JSON.parse(known.outcome) : { kind: 'key_reused' };
  };
  const record = preparingWrite(
    'INSERT INTO idempotency (key, fingerprint, outcome, exp) VALUES (@key, @fingerprint, @outcome, @exp)',
  );
  const removeRecord = preparingWrite('DELETE FROM idempotency WHERE key = @key');
  /** Runs an operation, or returns its stored outcome. */
  const run = <T extends { kind: string }>(
    once: Repeatable | undefined,
    now: number,
    operation: () => T,
    isFinal: (outcome: T) => boolean = () => true,
  ): T | KeyReused => {
    if (once === undefined) return operation();
    const known = recall<T>(now, once);
    if (known !== undefined) return known;
    const { key, fingerprint, keptUntil } = once;
    if (kept.records >= limits.idempotencyRecords) {
      throw new Unavailable(new Error('MAX_IDEMPOTENCY_RECORDS reached'));
    }
    const outcome = operation();
    if (isFinal(outcome)) {
      // An expired record of this key may not be swept yet.
      kept.records -= removeRecord({ key });
      record({ key, fingerprint, outcome: JSON.stringify(outcome), exp: iso(keptUntil) });
      kept.records += 1;
    }
    return outcome;
  };
  const firstTime: Operations['firstTime'] = (now, once) =>
    run(once, now, () => ({ kind: 'first', at: now }));

  const findPending = prepare<PendingRow>(`
    SELECT client1, client2, exp, secret1, proved1,
      (SELECT roomid FROM rooms WHERE rooms.roomid = pendings.roomid) AS roomId
    FROM pendings WHERE joinid = @joinCode AND exp > @now`);
  const livePending = (joinCode: string, now: number) =>
    findPending.get({ joinCode, now: iso(now) });
  /** The state of a live pending, and whether the proof is correct; undefined if there is none or access is refused. */
  const pendingOf = (joinCode: string, client1: string, now: number, proof: string | undefined) => {
    const pending = livePending(joinCode, now);
    if (pending === undefined || pending.client1 !== client1) return undefined;
    const secret = secretOf(pending.secret1, pending.proved1);
    const isProof = secret !== undefined && proof !== undefined && isSecret(proof, secret);
    const isRefused = secret !== undefined && (proof === undefined ? secret.isProved : !isProof);
    const { client2, exp, roomId } = pending;
    const isFirstProof = isProof && pending.proved1 === 0;
    return isRefused ? undefined : { client2, exp, roomId, isProof, isFirstProof };
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
  const insertPending = preparingWrite(`
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
  const setPendingPush = preparingWrite(
    'UPDATE pendings SET client1_token = @token, platform = @platform WHERE joinid = @joinCode',
  );
  const create: Operations['create'] = (pending, now, once) => {
    const { joinCode, client1, expiresAt, address, secret, proof, push } = pending;
    return run(once, now, () => {
      const values = { joinCode, client1, origin: originOf(address), now: iso(now) };
      if (findWithinLimits.get(values) === undefined) return { kind: 'too_many' };
      let own = secret;
      if (proof !== undefined) {
        const live = livePending(joinCode, now);
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
      if (insertPending(row) === 0) return { kind: 'conflict' };
      if (push !== undefined) setPendingPush({ joinCode, ...push });
      changed.push(joinCode);
      return { kind: 'created', expiresAt, secret: own };
    });
  };

  /** Decides concurrent accepts: only one of them finds client2 still NULL. The room gets the push token of the pending. */
  const insertRoom = preparingWrite(`
    INSERT INTO rooms (roomid, client1, client2, used_at, secret1, proved1, secret2,
      client1_token, client1_platform)
    SELECT @roomId, client1, @client2, @now, secret1, proved1, @secret2, client1_token, platform
    FROM pendings
    WHERE joinid = @joinCode AND exp > @now AND client2 IS NULL AND client1 <> @client2`);
  const takePending = preparingWrite(`
    UPDATE pendings
    SET client2 = @client2, roomid = @roomId, exp = max(exp, @until),
        client1_token = NULL, platform = NULL
    WHERE joinid = @joinCode`);
  const accept: Operations['accept'] = (acceptance, now, once) => {
    const { joinCode, client2, roomId, collectableUntil, secret, push } = acceptance;
    return run(once, now, () => {
      if (kept.rooms >= limits.rooms) throw new Unavailable(new Error('MAX_ROOMS reached'));
      const room = { joinCode, client2, roomId, secret2: secretHash(secret), now: iso(now) };
      if (insertRoom(room) > 0) {
        takePending({ joinCode, client2, roomId, until: iso(collectableUntil) });
        if (push !== undefined) setPushTarget(roomId, client2, push, now);
        kept.rooms += 1;
        changed.push(joinCode);
        return { kind: 'accepted', roomId, secret };
      }
      const pending = livePending(joinCode, now);
      if (pending === undefined) return NOT_FOUND;
      return { kind: pending.client1 === client2 ? 'own_code' : 'conflict' };
    });
  };

  const deletePending = preparingWrite('DELETE FROM pendings WHERE joinid = @joinCode');
  const provePending = preparingWrite('UPDATE pendings SET proved1 = 1 WHERE joinid = @joinCode');
  const proveRoom = preparingWrite(`
    UPDATE rooms
    SET proved1 = max(proved1, client1 = @deviceId), proved2 = max(proved2, client2 = @deviceId)
    WHERE roomid = @roomId`);
  const check: Operations['check'] = (joinCode, client1, now, once, final = true, proof) => {
    const isFinal = ({ kind }: CheckOutcome) => final || kind !== 'waiting';
    const collect = (): CheckOutcome => {
      const pending = pendingOf(joinCode, client1, now, proof);
      if (pending === undefined) return NOT_FOUND;
      if (pending.client2 === null) {
        if (pending.isFirstProof) provePending({ joinCode });
        return { kind: 'waiting', expiresAt: Date.parse(pending.exp) };
      }
      deletePending({ joinCode });
      const { roomId } = pending;
      // The room was deleted or swept before the creator's check.
      if (roomId === null) return NOT_FOUND;
      if (pending.isProof) proveRoom({ roomId, deviceId: client1 });
      return { kind: 'collected', roomId };
    };
    return run(once, now, collect, isFinal);
  };

  const cancel: Operations['cancel'] = (joinCode, client1, now, once, proof) =>
    run(once, now, () => {
      if (pendingOf(joinCode, client1, now, proof)?.client2 === null) {
        deletePending({ joinCode });
        changed.push(joinCode);
      }
      return { kind: 'cancelled' };
    });

  const findRow = prepare<RoomRow>(`SELECT ${ROOM} FROM rooms WHERE roomid = @roomId`);
  const noteUse = preparingWrite('UPDATE rooms SET used_at = @now WHERE roomid = @roomId');
  const findRoom: Operations['findRoom'] = (roomId, now) => {
    const row = findRow.get({ roomId });
    if (row === undefined) return undefined;
    const { client1, client2, usedAt } = row;
    const isNoteDue = limits.roomIdleMs > 0 && now - Date.parse(usedAt ?? '') > USE_GRANULARITY_MS;
    if (isNoteDue) noteUse({ roomId, now: iso(now) });
    const secret1 = secretOf(row.secret1, row.proved1);
    const secret2 = secretOf(row.secret2, row.proved2);
    return { roomId, client1, client2, secret1, secret2 };
  };
  const prove: Operations['prove'] = (roomId, deviceId) => proveRoom({ roomId, deviceId }) > 0;

  const removeRoom = preparingWrite('DELETE FROM rooms WHERE roomid = @roomId');
  const deleteRoom: Operations['deleteRoom'] = (roomId, { secrets, isRequired } = NO_PROOFS) => {
    const row = findRow.get({ roomId });
    if (row === undefined) return 'absent';
    const secret1 = secretOf(row.secret1, row.proved1);
    const secret2 = secretOf(row.secret2, row.proved2);
    // If the room has secrets, a request whose secrets belong to neither device is always refused.
    const isWrong = secrets.length > 0 && (secret1 ?? secret2) !== undefined;
    const mayDelete = deleteRule({ secrets, isRequired: isRequired || isWrong });
    if (!mayDelete(secret1, secret2)) return 'forbidden';
    kept.rooms -= removeRoom({ roomId });
    return 'deleted';
  };

  /** Sets a column of the device, and keeps that of the other device. */
  const assign = (name: string) =>
    [1, 2]
      .map((n) => `client${n}_${name} = iif(client${n} = @deviceId, @${name}, client${n}_${name})`)
      .join(', ');
  const updatePush = preparingWrite(`
    UPDATE rooms SET ${assign('token')}, ${assign('platform')}
    WHERE roomid = @roomId AND @deviceId IN (client1, client2)`);
  const setPushTarget: Operations['setPushTarget'] = (roomId, deviceId, target, now, once) =>
    run(once, now, () => {
      const { token, platform } = target ?? { token: null, platform: null };
      const isPaired = updatePush({ roomId, deviceId, token, platform }) > 0;
      return { kind: isPaired ? 'set' : 'not_paired' };
    });
  const columnOf = (name: string) => `iif(client1 = @deviceId, client1_${name}, client2_${name})`;
  const findPush = prepare<PushRow>(`
    SELECT ${columnOf('token')} AS token, ${columnOf('platform')} AS platform,
      ${columnOf('pushed_at')} AS pushedAt
    FROM rooms WHERE roomid = @roomId AND @deviceId IN (client1, client2)`);
  const notePush = preparingWrite(`UPDATE rooms SET ${assign('pushed_at')} WHERE roomid = @roomId`);
  const claimPush: Operations['claimPush'] = (roomId, deviceId, everyMs, now) => {
    const push = findPush.get({ roomId, deviceId });
    if (!push?.token) return { kind: 'no_target' };
    const { token, platform, pushedAt } = push;
    // A time too far in the future was written before the clock was set back.
    const isTooSoon = pushedAt !== null && Math.abs(now - Date.parse(pushedAt)) < everyMs;
    if (isTooSoon) return { kind: 'too_soon' };
    notePush({ roomId, deviceId, pushed_at: iso(now) });
    return { kind: 'claimed', target: { platform, token } };
  };
  const forgetPushTarget: Operations['forgetPushTarget'] = (roomId, deviceId, target) => {
    const push = findPush.get({ roomId, deviceId });
    const isSame = push?.token === target.token && push.platform === target.platform;
    if (isSame) setPushTarget(roomId, deviceId, null, 0);
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
  const purge: Operations['purge'] = (deviceIds, now, once, proofs = NO_PROOFS) =>
    run(once, now, () => {
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
            deletePending({ joinCode });
            codes.push(joinCode);
          } else keptCodes.add(joinCode);
        }
        for (const { roomId, ...row } of roomsOf.all({ deviceId })) {
          if (mayDelete(secretOf(row.secret1, row.proved1), secretOf(row.secret2, row.proved2))) {
            roomsDeleted += removeRoom({ roomId });
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
    });

  const sweepPendings = preparingWrite('DELETE FROM pendings WHERE exp <= @now');
  const sweepRecords = preparingWrite('DELETE FROM idempotency WHERE exp <= @now');
  /** Rooms from before the sweep was enabled start their idle time at its first run. */
  const startUse = preparingWrite('UPDATE rooms SET used_at = @now WHERE used_at IS NULL');
  const sweepRooms = preparingWrite('DELETE FROM rooms WHERE used_at < @before');
  const findExpired = prepare(
    'SELECT 1 FROM pendings WHERE exp <= @now UNION ALL SELECT 1 FROM idempotency WHERE exp <= @now',
  );
  const sweep: Operations['sweep'] = (now) => {
    // No index finds idle rooms.
    const isDue = limits.roomIdleMs > 0 || findExpired.get({ now: iso(now) }) !== undefined;
    if (!isDue) return { pendings: 0, rooms: 0 };
    const pendings = sweepPendings({ now: iso(now) });
    kept.records -= sweepRecords({ now: iso(now) });
    if (limits.roomIdleMs === 0) return { pendings, rooms: 0 };
    startUse({ now: iso(now) });
    const swept = sweepRooms({ before: iso(now - limits.roomIdleMs) });
    kept.rooms -= swept;
    return { pendings, rooms: swept };
  };

  const countPendings = prepare<{ n: number }>('SELECT count(*) AS n FROM pendings');
  const counts: Operations['counts'] = () => ({
    pendings: countPendings.get()?.n ?? 0,
    rooms: kept.rooms,
    idempotencyRecords: kept.records,
  });

  const writeProbe = preparingWrite('INSERT OR REPLACE INTO probe (id, at) VALUES (1, @now)');
  const probe: Operations['probe'] = (now) => void writeProbe({ now: iso(now) });

  const operations: Operations = {
    create,
    accept,
    check,
    cancel,
    findRoom,
    prove,
    deleteRoom,
    purge,
    recall,
    firstTime,
    setPushTarget,
    claimPush,
    forgetPushTarget,
    sweep,
    counts,
    probe,
  };
  return { kept, changed, operations };
}
