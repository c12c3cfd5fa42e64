// The contract of every PairingStore. Times are in the year 2100, so that no store expires rows by its own clock.
import type { PushTarget } from '@couplet/protocol';
import { describe, expect, onTestFinished, test } from 'vitest';
import { secretHash } from '../../src/base/device-secrets.js';
import { Unavailable } from '../../src/base/failures.js';
import type { PairingStore, StoreLimits } from '../../src/pairing/store.js';
import { LEGAL_IDS } from '../support/ids.js';
import { accept, create, purge, secretOf } from '../support/store-calls.js';

/** Another store over the data of the same test; the suite closes it. */
export type OpenStore = (limits?: Partial<StoreLimits>) => Promise<PairingStore>;

const NOW = Date.UTC(2100, 0, 1, 12, 0, 0, 500);
const LATER = NOW + 60_000;
const UNTIL = NOW + 600_000;

/**
 * Describes the contract.
 *
 * @param open - prepares an empty place for data, and returns a function that opens stores over it
 */
export function pairingStoreContract(name: string, open: () => Promise<OpenStore>): void {
  /** This many stores over the same data, which is empty at first. */
  const stores = async (count: number, limits?: Partial<StoreLimits>): Promise<PairingStore[]> => {
    const opener = await open();
    return Promise.all(
      Array.from({ length: count }, async () => {
        const store = await opener(limits);
        onTestFinished(() => store.close());
        return store;
      }),
    );
  };
  const fresh = async (limits?: Partial<StoreLimits>): Promise<PairingStore> =>
    (await stores(1, limits))[0] as PairingStore;
  const once = (key: string) => ({
    key,
    fingerprint: 'f',
    address: '192.0.2.1',
    keptUntil: UNTIL,
  });
  const pair = async (store: PairingStore, joinCode: string, ids: [string, string, string]) => {
    const [client1, client2, roomId] = ids;
    await create(store, joinCode, client1, LATER, NOW);
    await accept(store, joinCode, client2, roomId, UNTIL, NOW);
  };

  describe(`${name}: create`, () => {
    test('a new code is created and waits until its expiry', async () => {
      const store = await fresh();
      expect(await create(store, '000001', 'a', LATER, NOW)).toMatchObject({ kind: 'created' });
      expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'waiting', expiresAt: LATER });
    });

    test('the code of another device is a conflict and is not changed', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      expect(await create(store, '000001', 'b', LATER + 1, NOW)).toEqual({ kind: 'conflict' });
      expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'waiting', expiresAt: LATER });
      expect(await store.check('000001', 'b', NOW)).toEqual({ kind: 'not_found_or_expired' });
    });

    test('the same device renews its waiting code, also with a shorter lifetime', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      for (const expiresAt of [LATER + 1, LATER - 1]) {
        expect(await create(store, '000001', 'a', expiresAt, NOW)).toMatchObject({
          kind: 'created',
        });
        expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'waiting', expiresAt });
      }
    });

    test('an expired code is free to the millisecond', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      expect(await create(store, '000001', 'b', LATER + 9, LATER - 1)).toEqual({
        kind: 'conflict',
      });
      expect(await create(store, '000001', 'b', LATER + 9, LATER)).toMatchObject({
        kind: 'created',
      });
      expect(await store.check('000001', 'a', LATER)).toEqual({ kind: 'not_found_or_expired' });
    });

    test('an accepted code is a conflict for every device, including its creator', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'room']);
      for (const device of ['a', 'b', 'c']) {
        expect(await create(store, '000001', device, LATER, NOW)).toEqual({ kind: 'conflict' });
      }
      expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'collected', roomId: 'room' });
    });

    test('a collected code is free, and so is an accepted code that was not collected in time', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'room 1']);
      await store.check('000001', 'a', NOW);
      expect(await create(store, '000001', 'c', LATER, NOW)).toMatchObject({ kind: 'created' });
      await pair(store, '000002', ['a', 'b', 'room 2']);
      expect(await create(store, '000002', 'c', UNTIL + 9, UNTIL)).toMatchObject({
        kind: 'created',
      });
      // It contains nothing of the earlier pairing.
      expect(await store.check('000002', 'c', UNTIL)).toMatchObject({ kind: 'waiting' });
      expect(await accept(store, '000002', 'd', 'room 3', UNTIL + 9, UNTIL)).toMatchObject({
        kind: 'accepted',
      });
    });
  });

  describe(`${name}: accept`, () => {
    test('the room exists, with both devices', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      expect(await accept(store, '000001', 'b', 'room', UNTIL, NOW)).toMatchObject({
        kind: 'accepted',
      });
      expect(await store.findRoom('room', NOW)).toMatchObject({
        roomId: 'room',
        client1: 'a',
        client2: 'b',
      });
    });

    test('an unknown and an expired code are not found, to the millisecond', async () => {
      const store = await fresh();
      const missing = { kind: 'not_found_or_expired' };
      expect(await accept(store, '000001', 'b', 'room', UNTIL, NOW)).toEqual(missing);
      await create(store, '000001', 'a', LATER, NOW);
      expect(await accept(store, '000001', 'b', 'room', UNTIL, LATER)).toEqual(missing);
      expect(await store.findRoom('room', NOW)).toBeUndefined();
      expect(await accept(store, '000001', 'b', 'room', UNTIL, LATER - 1)).toMatchObject({
        kind: 'accepted',
      });
    });

    test('a device cannot accept its own code, which stays waiting', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      expect(await accept(store, '000001', 'a', 'room', UNTIL, NOW)).toEqual({ kind: 'own_code' });
      expect(await store.findRoom('room', NOW)).toBeUndefined();
      expect(await store.check('000001', 'a', NOW)).toMatchObject({ kind: 'waiting' });
    });

    test('a second accept is a conflict, and changes nothing', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'room']);
      for (const device of ['b', 'c']) {
        expect(await accept(store, '000001', device, 'other', UNTIL, NOW)).toEqual({
          kind: 'conflict',
        });
      }
      expect(await store.findRoom('other', NOW)).toBeUndefined();
      expect(await store.findRoom('room', NOW)).toMatchObject({ client2: 'b' });
    });

    test('of many accepts through several stores, one succeeds', async () => {
      const several = await stores(4);
      const [first] = several as [PairingStore];
      await create(first, '000001', 'a', LATER, NOW);
      const outcomes = await Promise.all(
        Array.from({ length: 40 }, (_, n) =>
          accept(several[n % 4] as PairingStore, '000001', `b${n}`, `room${n}`, UNTIL, NOW),
        ),
      );
      const winners = outcomes.flatMap((outcome, n) => (outcome?.kind === 'accepted' ? [n] : []));
      expect(winners).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome?.kind === 'conflict')).toHaveLength(39);
      const roomId = `room${winners[0]}`;
      expect(await several[3]?.findRoom(roomId, NOW)).toMatchObject({
        roomId,
        client1: 'a',
        client2: `b${winners[0]}`,
      });
      expect(await first.check('000001', 'a', NOW)).toEqual({ kind: 'collected', roomId });
    });

    test('the pending is collectable until the given time or its own expiry, whichever is later', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      await accept(store, '000001', 'b', 'room 1', UNTIL, LATER - 1);
      await create(store, '000002', 'a', UNTIL + 500, NOW);
      await accept(store, '000002', 'b', 'room 2', UNTIL, NOW);
      expect(await store.check('000001', 'a', UNTIL - 1)).toMatchObject({ roomId: 'room 1' });
      expect(await store.check('000002', 'a', UNTIL + 499)).toMatchObject({ roomId: 'room 2' });
      await pair(store, '000003', ['a', 'b', 'room 3']);
      expect(await store.check('000003', 'a', UNTIL)).toEqual({ kind: 'not_found_or_expired' });
    });
  });

  describe(`${name}: check`, () => {
    test('an unknown code, an expired code and another device’s code are not found', async () => {
      const store = await fresh();
      const missing = { kind: 'not_found_or_expired' };
      expect(await store.check('000001', 'a', NOW)).toEqual(missing);
      await create(store, '000001', 'a', LATER, NOW);
      expect(await store.check('000001', 'b', NOW)).toEqual(missing);
      expect(await store.check('000001', 'a', LATER - 1)).toMatchObject({ kind: 'waiting' });
      expect(await store.check('000001', 'a', LATER)).toEqual(missing);
    });

    test('an accepted code is collected once, and only by its creator', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'room']);
      const missing = { kind: 'not_found_or_expired' };
      expect(await store.check('000001', 'b', NOW)).toEqual(missing);
      expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'collected', roomId: 'room' });
      expect(await store.check('000001', 'a', NOW)).toEqual(missing);
      expect(await store.findRoom('room', NOW)).toBeDefined();
    });

    test('of many checks through several stores, one collects', async () => {
      const several = await stores(4);
      await pair(several[0] as PairingStore, '000001', ['a', 'b', 'room']);
      const outcomes = await Promise.all(
        Array.from({ length: 20 }, (_, n) => several[n % 4]?.check('000001', 'a', NOW)),
      );
      expect(outcomes.filter((outcome) => outcome?.kind === 'collected')).toHaveLength(1);
    });

    test('the room is that of this pending, not of another pairing of the same devices', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'first']);
      await pair(store, '000002', ['a', 'b', 'second']);
      await pair(store, '000003', ['a', 'b', 'third']);
      expect(await store.check('000002', 'a', NOW)).toMatchObject({ roomId: 'second' });
      expect(await store.check('000003', 'a', NOW)).toMatchObject({ roomId: 'third' });
      expect(await store.check('000001', 'a', NOW)).toMatchObject({ roomId: 'first' });
    });
  });

  describe(`${name}: a check after its room is deleted`, () => {
    const missing = { kind: 'not_found_or_expired' };

    test('a deleted room is not found, with and without a key', async () => {
      const [one, other] = (await stores(2)) as [PairingStore, PairingStore];
      await pair(one, '000001', ['a', 'b', 'room 1']);
      await pair(one, '000002', ['a', 'b', 'room 2']);
      await other.deleteRoom('room 1');
      await other.deleteRoom('room 2');
      expect(await one.check('000001', 'a', NOW)).toEqual(missing);
      expect(await one.check('000002', 'a', NOW, once('check'))).toEqual(missing);
      expect(await other.check('000002', 'a', NOW, once('check'))).toEqual(missing);
      // The code is free again.
      expect(await create(one, '000001', 'c', LATER, NOW)).toMatchObject({ kind: 'created' });
    });

    test('a check with a stored answer gets the same answer after the room was deleted', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'room']);
      const first = await store.check('000001', 'a', NOW, once('check'));
      expect(first).toEqual({ kind: 'collected', roomId: 'room' });
      await store.deleteRoom('room');
      expect(await store.check('000001', 'a', NOW, once('check'))).toEqual(first);
    });

    test('a room that the other device purged, or that was idle for too long, is not found', async () => {
      const store = await fresh({ roomIdleMs: 1 });
      await pair(store, '000001', ['a', 'b', 'room 1']);
      await pair(store, '000002', ['c', 'd', 'room 2']);
      await purge(store, ['b']);
      expect(await store.check('000001', 'a', NOW)).toEqual(missing);
      expect((await store.sweep(NOW + 2)).rooms).toBe(1);
      expect(await store.check('000002', 'c', NOW + 2)).toEqual(missing);
    });
  });

  describe(`${name}: cancel`, () => {
    const cancelled = { kind: 'cancelled' };
    const missing = { kind: 'not_found_or_expired' };

    test('a cancelled code is gone for every device, and free at once', async () => {
      const [one, other] = (await stores(2)) as [PairingStore, PairingStore];
      await create(one, '000001', 'a', LATER, NOW);
      expect(await other.cancel('000001', 'a', NOW)).toEqual(cancelled);
      expect(await one.check('000001', 'a', NOW)).toEqual(missing);
      expect(await accept(one, '000001', 'b', 'room', UNTIL, NOW)).toEqual(missing);
      expect(await one.counts()).toMatchObject({ pendings: 0, rooms: 0 });
      expect(await create(other, '000001', 'c', LATER, NOW)).toMatchObject({ kind: 'created' });
    });

    test('an unknown code, another device’s code and an accepted code are not changed, with the same outcome', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      await pair(store, '000002', ['a', 'b', 'room']);
      for (const [joinCode, device] of [
        ['000000', 'a'],
        ['000001', 'b'],
        ['000001', 'a\u0000'],
        ['000002', 'a'],
        ['000002', 'b'],
      ] as const) {
        expect(await store.cancel(joinCode, device, NOW)).toEqual(cancelled);
      }
      expect(await store.check('000001', 'a', NOW)).toMatchObject({ kind: 'waiting' });
      expect(await store.check('000002', 'a', NOW)).toMatchObject({ roomId: 'room' });
    });

    test('a cancelled code no longer counts in the limits of device and address', async () => {
      const store = await fresh({ pendingsPerDevice: 1, pendingsPerAddress: 1 });
      for (const joinCode of ['000001', '000002', '000003']) {
        expect(await create(store, joinCode, 'a', LATER, NOW)).toMatchObject({ kind: 'created' });
        expect(await create(store, '000009', 'b', LATER, NOW)).toEqual({ kind: 'too_many' });
        await store.cancel(joinCode, 'a', NOW);
      }
    });

    test('of a concurrent accept and cancel, either the room exists or the code does not', async () => {
      const several = await stores(2);
      const [one, other] = several as [PairingStore, PairingStore];
      for (let n = 0; n < 20; n++) {
        const [joinCode, room] = [String(n).padStart(6, '0'), `room${n}`];
        await create(one, joinCode, 'a', LATER, NOW);
        const [accepted] = await Promise.all([
          accept(one, joinCode, 'b', room, UNTIL, NOW),
          other.cancel(joinCode, 'a', NOW),
        ]);
        const collected = await one.check(joinCode, 'a', NOW);
        expect(collected).toEqual(
          accepted.kind === 'accepted' ? { kind: 'collected', roomId: room } : missing,
        );
      }
    });

    test('with a key, a repeat does not cancel a code that was created since', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      expect(await store.cancel('000001', 'a', NOW, once('cancel'))).toEqual(cancelled);
      await create(store, '000001', 'a', LATER, NOW);
      expect(await store.cancel('000001', 'a', NOW, once('cancel'))).toEqual(cancelled);
      expect(await store.check('000001', 'a', NOW)).toMatchObject({ kind: 'waiting' });
    });
  });

  describe(`${name}: rooms and purge`, () => {
    test('a room is deleted once, and deleting it again is no error', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'room']);
      await store.deleteRoom('room');
      await store.deleteRoom('room');
      expect(await store.findRoom('room', NOW)).toBeUndefined();
    });

    test('a purge deletes rows of either side, counts each row once, and keeps the rest', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'ab']);
      await pair(store, '000002', ['c', 'a', 'ca']);
      await pair(store, '000003', ['c', 'd', 'cd']);
      await store.check('000002', 'c', NOW);
      await create(store, '000004', 'a', LATER, NOW);
      await create(store, '000005', 'c', LATER, NOW);
      expect(await purge(store, ['a', 'b', 'a', 'nobody'])).toEqual({
        roomsDeleted: 2,
        pendingsDeleted: 2,
      });
      expect(await store.findRoom('cd', NOW)).toBeDefined();
      expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'not_found_or_expired' });
      expect(await store.check('000003', 'c', NOW)).toMatchObject({ roomId: 'cd' });
      expect(await store.check('000005', 'c', NOW)).toMatchObject({ kind: 'waiting' });
      expect(await purge(store, ['a'])).toEqual({ roomsDeleted: 0, pendingsDeleted: 0 });
    });

    test.each(LEGAL_IDS)('an id of %s is stored byte for byte', async (_name, id) => {
      const store = await fresh();
      await pair(store, '000001', [id, 'second device', 'room']);
      expect((await store.findRoom('room', NOW))?.client1).toBe(id);
      const near = [`${id}x`, `${id}\u0000`, `${id} `];
      expect(await purge(store, near)).toEqual({ roomsDeleted: 0, pendingsDeleted: 0 });
      expect(await purge(store, [id])).toEqual({ roomsDeleted: 1, pendingsDeleted: 1 });
    });

    test('ids that differ after a NUL are different ids', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a\u0000b', 'other', 'room']);
      expect(await store.check('000001', 'a', NOW)).toEqual({ kind: 'not_found_or_expired' });
      expect(await store.check('000001', 'a\u0000c', NOW)).toEqual({
        kind: 'not_found_or_expired',
      });
      expect((await purge(store, ['a', 'a\u0000c', 'a\u0000'])).roomsDeleted).toBe(0);
    });
  });

  describe(`${name}: device secrets`, () => {
    const missing = { kind: 'not_found_or_expired' };
    const waits = { kind: 'waiting' };
    const withSecrets = (...secrets: string[]) => ({ secrets, isRequired: false });
    const required = (...secrets: string[]) => ({ secrets, isRequired: true });
    const [ofA, ofB] = [secretOf('a', '000001'), secretOf('b', '000001')];
    const check = (store: PairingStore, proof?: string, client1 = 'a', joinCode = '000001') =>
      store.check(joinCode, client1, NOW, undefined, true, proof);
    /** Every row that a purge counts. */
    const purgeAll = async (store: PairingStore, deviceIds: string[], proofs = withSecrets()) => {
      const { kind: _, ...counts } = await store.purge(deviceIds, NOW, undefined, proofs);
      return counts;
    };

    test('create and accept return the given secret, and a repeat returns the first one', async () => {
      const store = await fresh();
      const made = { kind: 'created', expiresAt: LATER, secret: ofA };
      expect(await create(store, '000001', 'a', LATER, NOW, once('create'))).toEqual(made);
      const again = { joinCode: '000001', client1: 'a', expiresAt: LATER + 9, address: '' };
      expect(await store.create({ ...again, secret: 'other' }, NOW, once('create'))).toEqual(made);
      const accepted = { kind: 'accepted', roomId: 'room', secret: ofB };
      expect(await accept(store, '000001', 'b', 'room', UNTIL, NOW, once('accept'))).toEqual(
        accepted,
      );
      const repeat = { joinCode: '000001', client2: 'b', roomId: 'other', collectableUntil: UNTIL };
      expect(await store.accept({ ...repeat, secret: 'other' }, NOW, once('accept'))).toEqual(
        accepted,
      );
      const room = await store.findRoom('room', NOW);
      expect(room?.secret1).toEqual({ hash: secretHash(ofA), isProved: false });
      expect(room?.secret2).toEqual({ hash: secretHash(ofB), isProved: false });
    });

    test('a check with a wrong secret finds nothing; one without a secret does so after the first proof', async () => {
      const [store, other] = (await stores(2)) as [PairingStore, PairingStore];
      await create(store, '000001', 'a', LATER, NOW);
      expect(await check(store, 'wrong')).toEqual(missing);
      expect(await check(store)).toMatchObject(waits);
      expect(await check(store, ofA, 'b')).toEqual(missing);
      expect(await check(store, ofA)).toMatchObject(waits);
      expect(await check(other)).toEqual(missing);
      expect(await check(other, ofA)).toMatchObject(waits);
      await accept(store, '000001', 'b', 'room', UNTIL, NOW);
      expect(await check(store)).toEqual(missing);
      expect(await check(store, 'wrong')).toEqual(missing);
      expect(await check(store, ofB)).toEqual(missing);
      expect(await check(store, ofA)).toEqual({ kind: 'collected', roomId: 'room' });
      expect((await store.findRoom('room', NOW))?.secret1?.isProved).toBe(true);
      expect((await store.findRoom('room', NOW))?.secret2?.isProved).toBe(false);
    });

    test.each([undefined, 'key'])(
      'a proof in the collecting check is a proof for the room (key: %s)',
      async (key) => {
        const store = await fresh();
        await pair(store, '000001', ['a', 'b', 'room']);
        const repeat = key === undefined ? undefined : once(key);
        expect(await store.check('000001', 'a', NOW, repeat, true, ofA)).toMatchObject({
          kind: 'collected',
        });
        expect((await store.findRoom('room', NOW))?.secret1?.isProved).toBe(true);
      },
    );

    test('a code can be renewed without a secret until the first proof, and then only with it', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      const renew = (secret: string, proof?: string) =>
        store.create(
          { joinCode: '000001', client1: 'a', expiresAt: LATER, address: '', secret, proof },
          NOW,
        );
      expect(await renew('second')).toMatchObject({ kind: 'created', secret: 'second' });
      // The first secret is invalid.
      expect(await check(store, ofA)).toEqual(missing);
      expect(await renew('third', ofA)).toEqual({ kind: 'conflict' });
      expect(await check(store, 'second')).toMatchObject(waits);
      expect(await renew('fourth')).toEqual({ kind: 'conflict' });
      expect(await renew('fourth', 'wrong')).toEqual({ kind: 'conflict' });
      // The device keeps its secret.
      expect(await renew('fourth', 'second')).toMatchObject({ kind: 'created', secret: 'second' });
      expect(await check(store)).toEqual(missing);
      expect(await check(store, 'second')).toMatchObject(waits);
      // None of this applies to the next device that creates the code.
      const next = { joinCode: '000001', client1: 'c', expiresAt: UNTIL, address: '', secret: 's' };
      expect(await store.create({ ...next, proof: 'any' }, LATER)).toMatchObject({ secret: 's' });
      expect(await store.check('000001', 'c', LATER)).toMatchObject(waits);
    });

    test('a code of a proved device can be cancelled only with its secret', async () => {
      const store = await fresh();
      const cancel = (proof?: string) => store.cancel('000001', 'a', NOW, undefined, proof);
      await create(store, '000001', 'a', LATER, NOW);
      await cancel('wrong');
      expect(await check(store, ofA)).toMatchObject(waits);
      await cancel();
      await cancel('wrong');
      expect(await check(store, ofA)).toMatchObject(waits);
      await cancel(ofA);
      expect(await check(store, ofA)).toEqual(missing);
    });

    test('a renewal with the secret is a proof', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      await create(store, '000001', 'a', LATER, NOW, undefined, ofA);
      expect(await check(store)).toEqual(missing);
    });

    test('a device is marked as proved in its room, and the other is not', async () => {
      const [store, other] = (await stores(2)) as [PairingStore, PairingStore];
      await pair(store, '000001', ['a', 'b', 'room']);
      const proved = async () => {
        const room = await other.findRoom('room', NOW);
        return [room?.secret1?.isProved, room?.secret2?.isProved];
      };
      expect(await store.prove('no room', 'a')).toBe(false);
      expect(await store.prove('room', 'b')).toBe(true);
      expect(await proved()).toEqual([false, true]);
      expect(await store.prove('room', 'b')).toBe(true);
      expect(await proved()).toEqual([false, true]);
      await Promise.all([store.prove('room', 'a'), other.prove('room', 'a')]);
      expect(await proved()).toEqual([true, true]);
      await store.deleteRoom('room', withSecrets(ofA));
      expect(await store.prove('room', 'a')).toBe(false);
      expect(await store.findRoom('room', NOW)).toBeUndefined();
    });

    test('a room can be deleted without a secret only if no device has proved itself, and never with a wrong secret', async () => {
      const store = await fresh();
      for (const n of [1, 2, 3, 4]) await pair(store, `00000${n}`, ['a', 'b', `room ${n}`]);
      expect(await store.deleteRoom('room 1', withSecrets('wrong'))).toBe('forbidden');
      expect(await store.deleteRoom('room 1', required())).toBe('forbidden');
      expect(await store.deleteRoom('room 1', required('wrong'))).toBe('forbidden');
      expect(await store.findRoom('room 1', NOW)).toBeDefined();
      expect(await store.deleteRoom('room 1')).toBe('deleted');
      expect(await store.deleteRoom('room 1')).toBe('absent');
      expect(await store.deleteRoom('room 1', required('any'))).toBe('absent');
      await store.prove('room 2', 'a');
      expect(await store.deleteRoom('room 2')).toBe('forbidden');
      expect(await store.deleteRoom('room 2', withSecrets(ofA))).toBe('forbidden');
      expect(await store.findRoom('room 2', NOW)).toBeDefined();
      // The other device has proved nothing yet, but may delete it with its own secret.
      expect(await store.deleteRoom('room 2', withSecrets(secretOf('b', '000002')))).toBe(
        'deleted',
      );
      await store.prove('room 3', 'b');
      expect(await store.deleteRoom('room 3', required(secretOf('b', '000003')))).toBe('deleted');
      expect(await store.deleteRoom('room 4', required(secretOf('a', '000004')))).toBe('deleted');
    });

    test('a purge keeps rows whose required secret is missing, and counts exactly', async () => {
      const store = await fresh();
      // Proved rooms of both devices, collected and not; unproved rooms; waiting codes of each kind.
      await pair(store, '000001', ['a', 'b', 'room 1']);
      await pair(store, '000002', ['b', 'a', 'room 2']);
      await pair(store, '000003', ['a', 'b', 'room 3']);
      await check(store, ofA);
      await store.prove('room 2', 'a');
      await create(store, '000004', 'a', LATER, NOW);
      await check(store, secretOf('a', '000004'), 'a', '000004');
      await create(store, '000005', 'a', LATER, NOW);
      expect(await purgeAll(store, ['a', 'b', 'a'], withSecrets('wrong'))).toEqual({
        roomsDeleted: 1,
        pendingsDeleted: 2,
        roomsKept: 2,
        pendingsKept: 2,
      });
      expect(await store.findRoom('room 1', NOW)).toBeDefined();
      expect(await store.findRoom('room 3', NOW)).toBeUndefined();
      expect(await check(store, undefined, 'b', '000002')).toMatchObject({ roomId: 'room 2' });
      const four = secretOf('a', '000004');
      expect(await purgeAll(store, ['a'], withSecrets(ofB, four))).toEqual({
        roomsDeleted: 1,
        pendingsDeleted: 1,
        roomsKept: 1,
        pendingsKept: 0,
      });
      expect(await purgeAll(store, ['b'], withSecrets(secretOf('a', '000002')))).toEqual({
        roomsDeleted: 1,
        pendingsDeleted: 0,
        roomsKept: 0,
        pendingsKept: 0,
      });
    });

    test('if secrets are required, a purge deletes only rows that it proves', async () => {
      const store = await fresh();
      await pair(store, '000001', ['a', 'b', 'room 1']);
      await pair(store, '000002', ['a', 'c', 'room 2']);
      await create(store, '000003', 'a', LATER, NOW);
      expect(await purgeAll(store, ['a'], required(ofB))).toEqual({
        roomsDeleted: 1,
        pendingsDeleted: 1,
        roomsKept: 1,
        pendingsKept: 2,
      });
      expect(await check(store, undefined, 'a', '000002')).toMatchObject({ roomId: 'room 2' });
    });
  });

  describe(`${name}: push targets`, () => {
    const MINUTE = 60_000;
    const ios = { platform: 'ios', token: 'token of a' } as const;
    const web = { platform: 'web', token: '{"endpoint":"https://b"}' } as const;
    const none = { kind: 'no_target' };
    const createWith = (store: PairingStore, push?: PushTarget, key?: string) => {
      const pending = { joinCode: '000001', client1: 'a', expiresAt: LATER, address: '', push };
      return store.create({ ...pending, secret: 's' }, NOW, key === undefined ? key : once(key));
    };
    const acceptWith = (store: PairingStore, push?: PushTarget) => {
      const acceptance = { joinCode: '000001', client2: 'b', roomId: 'room', push };
      return store.accept({ ...acceptance, collectableUntil: UNTIL, secret: 's' }, NOW);
    };
    const paired = async (store: PairingStore, first?: PushTarget, second?: PushTarget) => {
      await createWith(store, first);
      await acceptWith(store, second);
      await store.check('000001', 'a', NOW);
    };
    const claim = (store: PairingStore, deviceId: string, now = NOW) =>
      store.claimPush('room', deviceId, MINUTE, now);

    test('a room has the targets of create and accept, each for its own device', async () => {
      const store = await fresh();
      await paired(store, ios, web);
      expect(await claim(store, 'a')).toEqual({ kind: 'claimed', target: ios });
      expect(await claim(store, 'b')).toEqual({ kind: 'claimed', target: web });
      expect(await claim(store, 'c')).toEqual(none);
      expect(await store.claimPush('unknown', 'a', MINUTE, NOW)).toEqual(none);
    });

    test('a renewed code has the target of the renewal, or none; a repeat changes nothing', async () => {
      const store = await fresh();
      await createWith(store, ios, 'first');
      await createWith(store, web);
      await createWith(store, ios, 'first');
      await acceptWith(store);
      expect(await claim(store, 'a')).toEqual({ kind: 'claimed', target: web });
      expect(await claim(store, 'b')).toEqual(none);
      await store.check('000001', 'a', NOW);
      await store.deleteRoom('room');
      await createWith(store, ios);
      await createWith(store);
      await acceptWith(store);
      expect(await claim(store, 'a')).toEqual(none);
    });

    test('a target is claimed at most once per time and device, to the millisecond', async () => {
      const store = await fresh();
      await paired(store, ios, web);
      expect((await claim(store, 'a')).kind).toBe('claimed');
      expect(await claim(store, 'a', NOW + MINUTE - 1)).toEqual({ kind: 'too_soon' });
      expect((await claim(store, 'b', NOW + MINUTE - 1)).kind).toBe('claimed');
      expect((await claim(store, 'a', NOW + MINUTE)).kind).toBe('claimed');
      // The clock was set back.
      expect((await claim(store, 'a', NOW)).kind).toBe('claimed');
    });

    test('of many claims through several stores, one succeeds', async () => {
      const all = await stores(4);
      await paired(all[0] as PairingStore, ios);
      const outcomes = await Promise.all([...all, ...all].map((store) => claim(store, 'a')));
      expect(outcomes.map(({ kind }) => kind).sort()).toEqual([
        'claimed',
        ...Array(7).fill('too_soon'),
      ]);
    });

    test('a device of the room renews and deletes its target, and a repeat does not undo a later call', async () => {
      const store = await fresh();
      await paired(store, ios);
      const set = (deviceId: string, target: PushTarget | null, key?: string, roomId = 'room') =>
        store.setPushTarget(roomId, deviceId, target, NOW, key === undefined ? key : once(key));
      expect(await set('a', web, 'first')).toEqual({ kind: 'set' });
      expect(await set('b', ios)).toEqual({ kind: 'set' });
      expect(await claim(store, 'a')).toEqual({ kind: 'claimed', target: web });
      expect(await set('a', null)).toEqual({ kind: 'set' });
      expect(await set('a', web, 'first')).toEqual({ kind: 'set' });
      expect(await claim(store, 'a')).toEqual(none);
      expect(await claim(store, 'b')).toEqual({ kind: 'claimed', target: ios });
      expect(await set('c', ios)).toEqual({ kind: 'not_paired' });
      expect(await set('a\0', ios)).toEqual({ kind: 'not_paired' });
      expect(await set('a', ios, undefined, 'unknown')).toEqual({ kind: 'not_paired' });
    });

    test('a dead target is deleted, unless the device has renewed it', async () => {
      const store = await fresh();
      await paired(store, ios, ios);
      await store.forgetPushTarget('room', 'a', web);
      await store.forgetPushTarget('room', 'a', { ...ios, platform: 'android' });
      await store.forgetPushTarget('unknown', 'a', ios);
      await store.forgetPushTarget('room', 'b', ios);
      expect(await claim(store, 'a')).toEqual({ kind: 'claimed', target: ios });
      expect(await claim(store, 'b')).toEqual(none);
    });

    test.each([
      ['deleted', (store: PairingStore) => store.deleteRoom('room')],
      ['purged', (store: PairingStore) => store.purge(['b'], NOW)],
    ])('nothing is left of a room that is %s', async (_how, remove) => {
      const store = await fresh();
      await paired(store, ios, web);
      await claim(store, 'a');
      await remove(store);
      expect(await claim(store, 'b')).toEqual(none);
      expect(await store.setPushTarget('room', 'b', web, NOW)).toEqual({ kind: 'not_paired' });
      await paired(store);
      expect([await claim(store, 'a'), await claim(store, 'b')]).toEqual([none, none]);
    });
  });

  describe(`${name}: limits and idle rooms`, () => {
    const DAY = 24 * 3_600_000;

    test('live pendings are limited per device and per address; a collected one no longer counts', async () => {
      const store = await fresh({ pendingsPerDevice: 2, pendingsPerAddress: 3 });
      const made = (code: string, device: string, now = NOW) =>
        create(store, code, device, now + 60_000, now).then(({ kind }) => kind);
      expect([await made('000001', 'a'), await made('000002', 'a')]).toEqual([
        'created',
        'created',
      ]);
      expect(await made('000003', 'a')).toBe('too_many');
      expect(await made('000002', 'a')).toBe('created');
      expect([await made('000004', 'b'), await made('000005', 'c')]).toEqual([
        'created',
        'too_many',
      ]);
      // A conflict does not count.
      expect(await made('000001', 'd')).toBe('conflict');
      expect(await made('000009', 'd')).toBe('too_many');
      await accept(store, '000001', 'z', 'room', UNTIL, NOW);
      await store.check('000001', 'a', NOW);
      expect(await made('000006', 'a')).toBe('created');
      expect(await made('000007', 'd')).toBe('too_many');
      expect(await made('000008', 'd', NOW + 60_000)).toBe('created');
    });

    test('at the maximum of rooms or records, further ones are refused with Unavailable', async () => {
      const store = await fresh({ rooms: 1, idempotencyRecords: 1 });
      const made = (code: string, key: string) => create(store, code, 'a', LATER, NOW, once(key));
      await made('000001', 'first');
      await expect(made('000002', 'second')).rejects.toThrow(Unavailable);
      expect(await made('000001', 'first')).toMatchObject({ kind: 'created' });
      await accept(store, '000001', 'b', 'room', UNTIL, NOW);
      await create(store, '000002', 'a', LATER, NOW);
      const accepted = () => accept(store, '000002', 'b', 'other', UNTIL, NOW);
      await expect(accepted()).rejects.toThrow(Unavailable);
      await store.deleteRoom('room');
      expect((await accepted()).kind).toBe('accepted');
    });

    test('idle rooms are swept to the millisecond, a use is recorded once a day, and counts are exact', async () => {
      const store = await fresh({ roomIdleMs: 30 * DAY });
      await Promise.all(
        [0, 1, 2, 3].map((n) => pair(store, `00000${n}`, [`a${n}`, `b${n}`, `room${n}`])),
      );
      expect(await store.counts()).toMatchObject({ pendings: 4, rooms: 4 });
      await store.findRoom('room0', NOW + DAY);
      await store.findRoom('room1', NOW + DAY + 1);
      expect((await store.sweep(NOW + 30 * DAY)).rooms).toBe(0);
      expect((await store.sweep(NOW + 30 * DAY + 1)).rooms).toBe(3);
      expect(await store.counts()).toMatchObject({ pendings: 0, rooms: 1 });
      expect(await store.findRoom('room1', NOW)).toBeDefined();
    });
  });

  describe(`${name}: sweep, change and durability`, () => {
    test('a sweep deletes expired rows, and no live ones', async () => {
      const store = await fresh();
      await create(store, '000001', 'a', LATER, NOW);
      await create(store, '000002', 'a', LATER + 1, NOW);
      await pair(store, '000003', ['a', 'b', 'room']);
      await store.sweep(LATER);
      expect(await store.check('000001', 'a', LATER - 1)).toEqual({ kind: 'not_found_or_expired' });
      expect(await store.check('000002', 'a', LATER)).toMatchObject({ kind: 'waiting' });
      expect(await store.check('000003', 'a', LATER)).toMatchObject({ kind: 'collected' });
      await store.sweep(UNTIL * 2);
      expect(await store.findRoom('room', NOW)).toBeDefined();
    });

    test('listeners get each code that is created, renewed, accepted, purged or cancelled', async () => {
      const store = await fresh();
      const told: string[] = [];
      store.onChange((joinCode) => told.push(joinCode));
      await create(store, '000001', 'a', LATER, NOW);
      await create(store, '000001', 'a', LATER, NOW);
      await expect.poll(() => told).toEqual(['000001', '000001']);
      await create(store, '000001', 'b', LATER, NOW);
      await accept(store, '000001', 'a', 'room', UNTIL, NOW);
      await accept(store, '000001', 'b', 'room', UNTIL, NOW);
      await accept(store, '000001', 'c', 'room', UNTIL, NOW);
      await expect.poll(() => told).toHaveLength(3);
      await purge(store, ['b']);
      await expect.poll(() => told).toHaveLength(4);
      await create(store, '000002', 'a', LATER, NOW);
      await store.cancel('000002', 'b', NOW);
      await store.cancel('000002', 'a', NOW);
      await expect.poll(() => told).toHaveLength(6);
    });
  });
}
