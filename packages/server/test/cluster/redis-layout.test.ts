// couplet migrate --redis-layout copies the data of an older version, while its nodes are drained one by one.
import { runCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { type RedisCluster, startRedisCluster } from '@couplet/testkit/redis-servers';
import { temporaryFolder } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { secretHash } from '../../src/base/device-secrets.js';
import { hashOf, placeOf } from '../../src/pairing/redis/scripts.js';
import { openRedisStore } from '../../src/pairing/redis/store.js';
import type { Redis } from '../../src/redis/client.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';

/** Writes in the layout of the older version. */
function oldNode(redis: Redis, prefix: string) {
  const at = (letter: string, id: string) => `${prefix}{${letter}${id.charCodeAt(0)}}${id}`;
  const run = (name: string, key: string, ...args: string[]) =>
    redis.command(key, [name, key, ...args]);
  const room = (roomId: string) => at('r', hashOf(roomId));
  return {
    async create(code: string, client1: string, expiresAt: number) {
      const fields = ['c1', client1, 'x', String(expiresAt), 'secret1', secretHash(client1)];
      await run('HSET', at('p', code), ...fields);
      await run('ZADD', at('p', code).replace(/\}.*$/, '}index'), String(expiresAt), code);
      await run('ZADD', `${prefix}{d${hashOf(client1)}}`, String(expiresAt), `p${code}`);
    },
    accept: (code: string, client2: string, roomId: string) =>
      run('HSET', at('p', code), 'c2', client2, 'r', roomId, 'secret2', secretHash(client2)),
    async writeRoom(client1: string, client2: string, roomId: string) {
      const value = [client1, client2, secretHash(client1), secretHash(client2), 2];
      await run('SET', room(roomId), JSON.stringify(value));
      const index = room(roomId).replace(/\}.*$/, '}index');
      await run('ZADD', index, String(Date.now()), hashOf(roomId));
    },
    async pair(code: string, n: number, expiresAt: number) {
      await this.create(code, `a${n}`, expiresAt);
      await this.accept(code, `b${n}`, `room ${n}`);
      await this.writeRoom(`a${n}`, `b${n}`, `room ${n}`);
    },
    record: (key: string, outcome: object, until: number) => {
      const fields = ['f', 'f', 'o', JSON.stringify(outcome), 'x', String(until)];
      return run('HSET', at('i', hashOf(`key ${key}`)), ...fields);
    },
    cancel: (code: string) => run('DEL', at('p', code)),
    deleteRoom: (roomId: string) => run('SET', room(roomId), '', 'PX', '120000'),
    /** As an interrupted `--finish` leaves it: only this old room is deleted. */
    async interrupt(roomId: string) {
      await run('SET', `${placeOf(prefix)}finishing`, '1');
      expect(await run('DEL', room(roomId))).toBe(1);
    },
  };
}

describeWith(['redis-server'], 'couplet migrate --redis-layout', () => {
  const cwd = temporaryFolder();
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  const setUp = async () => {
    const redis = await openRedis(cluster.url);
    const prefix = newPrefix();
    const env = { REDIS_URL: cluster.url, REDIS_PREFIX: prefix };
    /** Resolves to the numbers of copied rooms, pendings and records. */
    const migrate = async (...options: string[]) => {
      const command = ['migrate', '--redis-layout', ...options];
      const { code, stdout, stderr } = await runCommand(command, { cwd, env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return [...stdout.matchAll(/: (\d+) copied/g)].map(([, count]) => Number(count));
    };
    const keys = async () => {
      const all: string[] = [];
      for await (const some of redis.scan(`${prefix}*`)) all.push(...some);
      return all;
    };
    const store = openRedisStore(redis, { prefix });
    const statusOf = async (code: string, client1: string) =>
      (await store.check(code, client1, Date.now())).kind;
    return { old: oldNode(redis, prefix), store, migrate, keys, statusOf };
  };

  test('before, during and after the drain, live data is copied once, deletions on either side hold, and --finish deletes the old keys', async () => {
    const { old, store, migrate, keys, statusOf } = await setUp();
    const now = Date.now();
    const [later, until] = [now + 300_000, now + 600_000];
    const once = { key: 'key', fingerprint: 'f', address: 'x', keptUntil: until };
    for (const n of [1, 2]) await old.pair(`00000${n}`, n, later);
    for (const n of [3, 4, 5]) await old.create(`00000${n}`, `a${n}`, later);
    // Its node has not written the room yet.
    await old.accept('000003', 'b3', 'room 3');
    await old.record('key', { kind: 'created', expiresAt: later }, until);
    expect(await migrate()).toEqual([2, 4, 1]);
    expect(await migrate()).toEqual([0, 0, 0]);
    expect(await store.findRoom('room 1', now)).toEqual({
      roomId: 'room 1',
      client1: 'a1',
      client2: 'b1',
      secret1: { hash: secretHash('a1'), isProved: false },
      secret2: { hash: secretHash('b1'), isProved: true },
    });
    expect(await statusOf('000003', 'a3')).toBe('not_found_or_expired');
    expect(await store.firstTime(now, once)).toEqual({ kind: 'created', expiresAt: later });

    // The old nodes and the new ones serve side by side.
    await store.deleteRoom('room 1', { secrets: ['b1'], isRequired: false });
    await old.deleteRoom('room 2');
    await old.writeRoom('a3', 'b3', 'room 3');
    await old.accept('000004', 'b4', 'room 4');
    await old.writeRoom('a4', 'b4', 'room 4');
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
    expect(await statusOf('000005', 'a5')).toBe('not_found_or_expired');
    expect(await statusOf('000006', 'a6')).toBe('waiting');
    expect(await statusOf('000007', 'newer')).toBe('waiting');

    // The last old node has stopped.
    await old.create('000008', 'a8', later);
    expect(await migrate('--finish')).toEqual([0, 1, 0]);
    expect((await keys()).filter((key) => !key.includes('{pairing}'))).toEqual([]);
    expect(await migrate()).toEqual([0, 0, 0]);
    expect(await statusOf('000008', 'a8')).toBe('waiting');
    expect(await store.counts()).toMatchObject({ rooms: 2 });
    const proofs = { secrets: ['b3'], isRequired: false };
    expect(await store.purge(['b4', 'a6', 'b3'], now, undefined, proofs)).toMatchObject({
      roomsKept: 1,
      roomsDeleted: 1,
      pendingsDeleted: 1,
    });
  });

  test('an interrupted --finish is completed by the next one, which deletes no room', async () => {
    const { old, store, migrate, keys } = await setUp();
    for (const n of [1, 2, 3]) await old.pair(`00000${n}`, n, Date.now() + 300_000);
    await migrate();
    await old.interrupt('room 1');
    expect(await migrate('--finish')).toEqual([0, 0, 0]);
    expect((await store.counts()).rooms).toBe(3);
    expect((await keys()).filter((key) => !key.includes('{pairing}'))).toEqual([]);
    expect((await keys()).filter((key) => key.endsWith('finishing'))).toEqual([]);
  });
});
