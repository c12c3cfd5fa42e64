// couplet migrate copies all live data once, a repeat changes nothing, and Redis is never overwritten.
import { join } from 'node:path';
import { runCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { type RedisCluster, startRedisCluster } from '@couplet/testkit/redis-servers';
import { temporaryFolder } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { openRedisStore } from '../../src/pairing/redis/store.js';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';
import { accept, create } from '../support/store-calls.js';

describeWith(['redis-server'], 'couplet migrate', () => {
  const cwd = temporaryFolder();
  let cluster: RedisCluster;
  let files = 0;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  const setUp = async () => {
    const path = join(cwd, `${++files}.db`);
    const prefix = newPrefix();
    const sqlite = openSqliteStore(path);
    onTestFinished(() => sqlite.close());
    const connection = await openRedis(cluster.url);
    const redis = openRedisStore(connection, { prefix });
    const env = { SQLITE_DB_PATH: path, REDIS_URL: cluster.url, REDIS_PREFIX: prefix };
    const migrate = async () => {
      const { code, stdout, stderr } = await runCommand(['migrate'], { cwd, env });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      return stdout.match(/\d+/g)?.map(Number);
    };
    return { sqlite, redis, connection, prefix, migrate };
  };

  test('rooms, live pendings, accepted ones and records are copied, and count once', async () => {
    const { sqlite, redis, connection, prefix, migrate } = await setUp();
    const now = Date.now();
    const [later, until] = [now + 3_600_000, now + 7_200_000];
    const once = { key: 'key', fingerprint: 'f', address: 'x', keptUntil: until };
    const all = Array.from({ length: 450 }, (_, n) => ({ n, code: String(100_000 + n) }));
    // Each kind of call at once: they share commits.
    await Promise.all(all.map(({ n, code }) => create(sqlite, code, `a${n}`, later, now)));
    await Promise.all(
      all.map(({ n, code }) => accept(sqlite, code, `b${n}`, `room${n}`, until, now)),
    );
    await Promise.all(all.slice(2).map(({ n, code }) => sqlite.check(code, `a${n}`, now)));
    await sqlite.deleteRoom('room1');
    const first = await create(sqlite, '000002', 'w', later, now, once);
    await create(sqlite, '000003', 'w', now + 1, now);
    expect(await migrate()).toEqual([449, 0, 2, 0, 1, 0]);
    expect(await migrate()).toEqual([0, 449, 0, 2, 0, 1]);
    expect(await redis.findRoom('room449', now)).toMatchObject({
      roomId: 'room449',
      client1: 'a449',
      client2: 'b449',
    });
    expect(await redis.check('100000', 'a0', now)).toEqual({ kind: 'collected', roomId: 'room0' });
    // Its room was deleted before, and is not copied.
    expect(await redis.check('100001', 'a1', now)).toEqual({ kind: 'not_found_or_expired' });
    expect(await redis.findRoom('room1', now)).toBeUndefined();
    expect(await redis.check('000002', 'w', now)).toMatchObject({ kind: 'waiting' });
    const key = `${prefix}{pairing}pending:000002`;
    expect(await connection.command(key, ['PEXPIRETIME', key])).toBe(later);
    expect(await redis.firstTime(now, once)).toEqual(first);
    expect(await redis.purge(['a5', 'b6', 'w'], now)).toMatchObject({
      kind: 'purged',
      roomsDeleted: 2,
      pendingsDeleted: 1,
    });
  });

  test('a repeat copies later rows with their push tokens, keeps data of Redis, and restores no deleted data', async () => {
    const { sqlite, redis, migrate } = await setUp();
    const now = Date.now();
    const ios = { platform: 'ios', token: 'apns' } as const;
    const web = { platform: 'web', token: '{"endpoint":"https://x"}' } as const;
    const invite = { client1: 'a', expiresAt: now + 3_600_000, address: '', secret: 's' };
    const answer = { client2: 'b', collectableUntil: now + 7_200_000, secret: 's' };
    const pair = async (joinCode: string, roomId: string) => {
      await sqlite.create({ ...invite, joinCode, push: ios }, now);
      await sqlite.accept({ ...answer, joinCode, roomId, push: web }, now);
      await sqlite.check(joinCode, 'a', now);
    };
    await pair('000001', 'first');
    await create(sqlite, '000002', 'a', invite.expiresAt, now);
    await create(redis, '000002', 'newer', invite.expiresAt + 1, now);
    expect(await migrate()).toEqual([1, 0, 0, 1, 0, 0]);
    expect((await redis.check('000002', 'newer', now)).kind).toBe('waiting');
    await redis.deleteRoom('first');
    await pair('000003', 'second');
    await sqlite.create({ ...invite, joinCode: '000004', push: web }, now);
    expect(await migrate()).toEqual([1, 1, 1, 1, 0, 0]);
    expect(await redis.findRoom('first', now)).toBeUndefined();
    await redis.accept({ ...answer, joinCode: '000004', roomId: 'third' }, now);
    for (const [roomId, device, target] of [
      ['second', 'a', ios],
      ['second', 'b', web],
      ['third', 'a', web],
    ] as const) {
      expect(await redis.claimPush(roomId, device, 0, now)).toEqual({ kind: 'claimed', target });
    }
    expect(await redis.claimPush('third', 'b', 0, now)).toEqual({ kind: 'no_target' });
  });

  test('without a Redis it prints an error without secrets', async () => {
    const none = await runCommand(['migrate'], { cwd });
    expect(none).toMatchObject({ code: 1, stderr: expect.stringContaining('REDIS_URL') });
  });
});
