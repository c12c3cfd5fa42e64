// couplet migrate --redis-layout copies the data of an older version, while its nodes are drained one by one.

import { runCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { type RedisCluster, startRedisCluster } from '@couplet/testkit/redis-servers';
import { temporaryFolder } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretHash } from '../../src/base/device-secrets.js';
import { copyOldLayout } from '../../src/pairing/redis/migrate-layout.js';
import { hashOf } from '../../src/pairing/redis/scripts.js';
import { openRedisStore } from '../../src/pairing/redis/store.js';
import type { Redis } from '../../src/redis/client.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';

/** Writes in the layout of the older version. */
function oldNode(redis: Redis, prefix: string) {
  const at = (letter: string, id: string) => `${prefix}{${letter}${id.charCodeAt(0)}}${id}`;
  const indexOf = (key: string) => key.replace(/\}.*$/, '}index');
  const write = async (key: string, ...command: [string, ...string[]]) => {
    await redis.command(key, [command[0], key, ...command.slice(1)]);
  };
  return {
    async create(code: string, client1: string, expiresAt: number) {
      const key = at('p', code);
      const fields = ['c1', client1, 'x', String(expiresAt), 'g', 'origin'];
      await write(key, 'HSET', ...fields, 'secret1', secretHash(client1));
      await write(key, 'PEXPIREAT', String(expiresAt));
      await write(indexOf(key), 'ZADD', String(expiresAt), code);
      const device = `${prefix}{d${hashOf(client1)}}`;
      await write(device, 'ZADD', String(expiresAt), `p${code}`);
    },
    async accept(code: string, client2: string, roomId: string, isDone = true) {
      await write(
        at('p', code),
        'HSET',
        'c2',
        client2,
        'r',
        roomId,
        'secret2',
        secretHash(client2),
      );
      if (isDone) await this.writeRoom(code, client2, roomId);
    },
    async writeRoom(code: string, client2: string, roomId: string) {
      const key = at('p', code);
      const client1 = (await redis.command(key, ['HGET', key, 'c1'])) as string;
      const room = at('r', hashOf(roomId));
      const value = [client1, client2, secretHash(client1), secretHash(client2), 2];
      await write(room, 'SET', JSON.stringify(value));
      await write(indexOf(room), 'ZADD', String(Date.now()), hashOf(roomId));
      await write(key, 'HSET', 'd', '1');
    },
    async record(key: string, outcome: object, until: number) {
      const name = hashOf(`key ${key}`);
      await write(
        at('i', name),
        'HSET',
        'f',
        'f',
        'o',
        JSON.stringify(outcome),
        'x',
        String(until),
      );
    },
    cancel: (code: string) => write(at('p', code), 'DEL'),
    deleteRoom: (roomId: string) => write(at('r', hashOf(roomId)), 'SET', '', 'PX', '120000'),
  };
}

describeWith(['redis-server'], 'couplet migrate --redis-layout', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  const setUp = async () => {
    const redis = await openRedis(cluster.url);
    const prefix = newPrefix();
    const migrate = async (isFinal = false) =>
      Object.values(await copyOldLayout(redis, prefix, isFinal)).map(({ copied }) => copied);
    const keys = async () => {
      const all: string[] = [];
      for await (const some of redis.scan(`${prefix}*`)) all.push(...some);
      return all;
    };
    return {
      redis,
      prefix,
      old: oldNode(redis, prefix),
      store: openRedisStore(redis, { prefix }),
      migrate,
      keys,
    };
  };

  test('before, during and after the drain, live data is copied once, deletions on either side hold, and --finish deletes the old keys', async () => {
    const { old, store, migrate, keys } = await setUp();
    const now = Date.now();
    const [later, until] = [now + 300_000, now + 600_000];
    const once = { key: 'key', fingerprint: 'f', address: 'x', keptUntil: until };
    for (const n of [1, 2, 3, 4, 5]) await old.create(`00000${n}`, `a${n}`, later);
    await old.accept('000001', 'b1', 'room 1');
    await old.accept('000002', 'b2', 'room 2');
    // Its node has not written the room yet.
    await old.accept('000003', 'b3', 'room 3', false);
    await old.record('key', { kind: 'created', expiresAt: later }, until);
    // Rooms, pendings, records.
    expect(await migrate()).toEqual([2, 4, 1]);
    expect(await migrate()).toEqual([0, 0, 0]);
    expect(await store.findRoom('room 1', now)).toEqual({
      roomId: 'room 1',
      client1: 'a1',
      client2: 'b1',
      secret1: { hash: secretHash('a1'), isProved: false },
      secret2: { hash: secretHash('b1'), isProved: true },
    });
    expect((await store.check('000003', 'a3', now)).kind).toBe('not_found_or_expired');
    expect(await store.firstTime(now, once)).toEqual({ kind: 'created', expiresAt: later });

    // The old nodes and the new ones serve side by side.
    await store.deleteRoom('room 1', { secrets: ['b1'], isRequired: false });
    await old.deleteRoom('room 2');
    await old.writeRoom('000003', 'b3', 'room 3');
    await old.accept('000004', 'b4', 'room 4');
    await old.cancel('000005');
    await old.create('000006', 'a6', later);
    await old.create('000007', 'a7', later);
    const newer = { joinCode: '000007', client1: 'newer', expiresAt: later, address: '' };
    await store.create({ ...newer, secret: 'secret' }, now);
    expect(await migrate()).toEqual([2, 3, 0]);
    expect(await store.findRoom('room 1', now)).toBeUndefined();
    expect(await store.findRoom('room 2', now)).toBeUndefined();
    expect(await store.check('000003', 'a3', now)).toEqual({ kind: 'collected', roomId: 'room 3' });
    expect(await store.check('000004', 'a4', now)).toEqual({ kind: 'collected', roomId: 'room 4' });
    expect((await store.check('000005', 'a5', now)).kind).toBe('not_found_or_expired');
    expect((await store.check('000006', 'a6', now)).kind).toBe('waiting');
    expect((await store.check('000007', 'newer', now)).kind).toBe('waiting');

    // The last old node has stopped.
    await old.create('000008', 'a8', later);
    expect(await migrate(true)).toEqual([0, 1, 0]);
    expect((await keys()).filter((key) => !key.includes('{pairing}'))).toEqual([]);
    expect(await migrate()).toEqual([0, 0, 0]);
    expect((await store.check('000008', 'a8', now)).kind).toBe('waiting');
    expect(await store.counts()).toMatchObject({ rooms: 2 });
    const proofs = { secrets: ['b3'], isRequired: false };
    expect(await store.purge(['b4', 'a6', 'b3'], now, undefined, proofs)).toMatchObject({
      roomsKept: 1,
      roomsDeleted: 1,
      pendingsDeleted: 1,
    });
  });

  test('an interrupted --finish is completed by the next one, which deletes no room', async () => {
    const { redis, old, store, migrate, keys } = await setUp();
    const now = Date.now();
    for (const n of [1, 2, 3]) {
      await old.create(`00000${n}`, `a${n}`, now + 300_000);
      await old.accept(`00000${n}`, `b${n}`, `room ${n}`);
    }
    await migrate();
    // The state after only the first old room was deleted.
    const place = (await keys())
      .find((key) => key.includes('{pairing}rooms'))
      ?.replace(/rooms.*/, '');
    await redis.command(`${place}finishing`, ['SET', `${place}finishing`, '1']);
    const room =
      (await keys()).find((key) => key.endsWith(hashOf('room 1')) && key.includes('{r')) ?? '';
    expect(await redis.command(room, ['DEL', room])).toBe(1);
    expect(await migrate(true)).toEqual([0, 0, 0]);
    expect((await store.counts()).rooms).toBe(3);
    expect((await keys()).filter((key) => !key.includes('{pairing}'))).toEqual([]);
    expect((await keys()).filter((key) => key.endsWith('finishing'))).toEqual([]);
  });

  test('the command reports what it has copied and deleted', async () => {
    const { prefix, old } = await setUp();
    await old.create('000001', 'a', Date.now() + 300_000);
    const env = { REDIS_URL: cluster.url, REDIS_PREFIX: prefix };
    const command = ['migrate', '--redis-layout', '--finish'];
    expect(await runCommand(command, { cwd: temporaryFolder(), env })).toMatchObject({
      code: 0,
      stdout:
        'rooms: 0 copied, 0 copied before or already in Redis\n' +
        'pendings: 1 copied, 0 copied before or already in Redis\n' +
        'idempotency records: 0 copied, 0 copied before or already in Redis\n' +
        'keys of the old layout: deleted\n',
      stderr: '',
    });
  });
});
