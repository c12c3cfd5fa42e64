// The client of Redis, beyond the tests of nodes and stores: order of commands, kinds of errors, channels, lost servers.
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import {
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
  startWatchedRedis,
} from '@couplet/testkit/redis-servers';
import { startTcpProxy } from '@couplet/testkit/tcp-proxy';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../src/base/failures.js';
import { connectRedis, defineScript, type Redis } from '../../src/redis/client.js';
import { openNodeChannel } from '../../src/redis/node-channel.js';
import { slotOf } from '../../src/redis/servers.js';
import { openRedis, targetOf } from '../support/redis-stores.js';

const SET = defineScript("redis.call('SET', KEYS[1], ARGV[1]) return redis.call('GET', KEYS[1])");
const set = (redis: Redis, key = '{a}key', value = 'value') => redis.run(SET, [key], [value]);

/** A subscribed channel that records its messages. */
async function openInbox(redis: Redis, nodeId: string) {
  const inbox = openNodeChannel(redis, 'test:', nodeId);
  onTestFinished(() => inbox.close());
  const got: string[] = [];
  let subscribed = 0;
  inbox.on('a', (body) => got.push(`a ${body}`));
  inbox.on('b', (body) => got.push(`b ${body}`));
  inbox.onSubscribed(() => {
    subscribed += 1;
  });
  await expect.poll(() => inbox.isSubscribed()).toBe(true);
  return { inbox, got, subscribed: () => subscribed };
}

test('slots match the Redis Cluster specification', () => {
  expect(slotOf('123456789')).toBe(0x31c3);
  expect(slotOf('{user1000}.following')).toBe(slotOf('user1000'));
  expect(slotOf('foo{}{bar}')).toBe(slotOf('foo{}{bar}'));
  expect(slotOf('foo{{bar}}zap')).toBe(slotOf('{bar'));
});

describeWith(['redis-server'], 'a single Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.dispose());

  test('calls reject at once while Redis is unreachable, and succeed again when it is back', async () => {
    // A call that waited for its timeout would exceed that of the test.
    const redis = await openRedis(server.url, { timeoutMs: 600_000 });
    await set(redis);
    const reconnects = redis.reconnects();
    await server.stop();
    await eventually(() => expect(redis.isUp()).toBe(false));
    await expect(set(redis)).rejects.toThrow(Unavailable);
    await expect(redis.publish('test:x', 'x')).rejects.toThrow(Unavailable);
    await server.start();
    expect(await redis.ready(60_000)).toBe(true);
    expect(await set(redis)).toBe('value');
    expect(redis.reconnects()).toBe(reconnects + 1);
  });

  test('a command is sent in its turn, even if every turn sends another one', async () => {
    const redis = await openRedis(server.url);
    let isOver = false;
    const keepSending = () => {
      if (isOver) return;
      setImmediate(keepSending);
      set(redis).catch(() => {});
    };
    onTestFinished(() => {
      isOver = true;
    });
    keepSending();
    expect(await set(redis)).toBe('value');
  });

  test('an error in a script is not an outage', async () => {
    const redis = await openRedis(server.url);
    const wrong = redis.run(defineScript("return redis.call('NONSENSE')"), ['k'], []);
    await expect(wrong).rejects.not.toThrow(Unavailable);
  });

  test('a write that too few replicas confirm rejects', async () => {
    const redis = await openRedis(server.url, { replicasAck: 1, timeoutMs: 500 });
    await expect(redis.write(SET, ['k'], ['v'])).rejects.toThrow(Unavailable);
    expect(await set(await openRedis(server.url), 'k', 'v')).toBe('v');
  });

  test('a wrong password is an outage whose error does not contain the password', async () => {
    const causes: unknown[] = [];
    const url = server.url.replace('//', '//user:do-not-tell@');
    const redis = connectRedis(targetOf(url), {
      timeoutMs: 500,
      replicasAck: 0,
      onDown: (cause) => causes.push(cause),
    });
    onTestFinished(() => redis.close());
    await expect.poll(() => causes.length).toBeGreaterThan(0);
    await expect(set(redis)).rejects.toThrow(Unavailable);
    expect(String((causes[0] as Error).stack)).not.toContain('do-not-tell');
  });

  test('messages arrive unchanged, in order, each with its kind', async () => {
    const redis = await openRedis(server.url);
    const { inbox, got } = await openInbox(redis, 'one');
    const sender = openNodeChannel(await openRedis(server.url), 'test:', 'two');
    onTestFinished(() => sender.close());
    const bodies = ['', 'x:y', '7:ünï💡', 'a\u0000b'];
    const sent = await Promise.all([
      ...bodies.map((body) => inbox.send('one', 'a', body)),
      inbox.send('one', 'b', 'last'),
    ]);
    expect(sent).toEqual([true, true, true, true, true]);
    await expect.poll(() => got).toEqual([...bodies.map((body) => `a ${body}`), 'b last']);
    expect(await sender.send('nobody', 'a', 'x')).toBe(false);
  });

  test('a half-open subscriber is replaced, and its owner is told', async () => {
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const redis = await openRedis(`redis://127.0.0.1:${proxy.port}`, { timeoutMs: 2000 });
    const { inbox, got, subscribed } = await openInbox(redis, 'half-open');
    proxy.strand();
    await eventually(async () => {
      await inbox.send('half-open', 'a', 'x');
      expect(got).toContain('a x');
    });
    expect(subscribed()).toBeGreaterThan(1);
  });
});

describeWith(['redis-server'], 'a Redis Cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  test('keys, scripts and channels follow slots that move', async () => {
    const redis = await openRedis(cluster.url);
    const { inbox, got, subscribed } = await openInbox(redis, 'moving');
    for (const [n, key] of ['{1}key', '{2}key', 'test:{nmoving}inbox'].entries()) {
      for (const to of [0, 1, 2, n]) {
        await cluster.moveSlot(slotOf(key), to);
        if (n < 2) expect(await set(redis, key, `${to}`)).toBe(`${to}`);
      }
    }
    await expect.poll(subscribed).toBeGreaterThan(1);
    await eventually(async () => expect(await inbox.send('moving', 'a', 'x')).toBe(true));
    await expect.poll(() => got).toContain('a x');
  });

  test('after the death of a master, the others serve, and all calls and messages succeed again', async () => {
    const replicated = await startRedisCluster(3, true);
    onTestFinished(() => replicated.dispose());
    const redis = await openRedis(replicated.url, { timeoutMs: 2000 });
    const { inbox, got } = await openInbox(redis, 'surviving');
    await replicated.servers[1]?.stop('SIGKILL');
    const setAll = () => Array.from({ length: 30 }, (_, n) => set(redis, `{${n}}key`));
    const outcomes = await Promise.allSettled(setAll());
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    await eventually(() => Promise.all(setAll()));
    await eventually(async () => {
      await inbox.send('surviving', 'a', 'x');
      expect(got).toContain('a x');
    });
  });
});

describeWith(['redis-server'], 'a Redis behind Sentinels', () => {
  test('after the death of its master, calls and messages succeed again, and no confirmed write is lost', async () => {
    const watched = await startWatchedRedis({ downAfterMs: 500 });
    onTestFinished(() => watched.dispose());
    const redis = await openRedis(watched.url, { replicasAck: 1, timeoutMs: 2000 });
    const { inbox, got } = await openInbox(redis, 'watched');
    const keys = Array.from({ length: 50 }, (_, n) => `key${n}`);
    for (const key of keys) await eventually(() => redis.write(SET, [key], [key]));
    await watched.servers[0]?.stop('SIGKILL');
    await eventually(() => set(redis));
    await eventually(async () => {
      await inbox.send('watched', 'a', 'x');
      expect(got).toContain('a x');
    });
    await eventually(async () => {
      for (const key of keys) expect(await redis.command(key, ['GET', key])).toBe(key);
    });
  });
});
