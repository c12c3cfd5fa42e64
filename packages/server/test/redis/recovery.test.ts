// Redis is usable again after a fault. Measures and prints when; the figures are in ARCHITECTURE.md, Decisions.
import { setTimeout as delay } from 'node:timers/promises';
import { describeWith } from '@couplet/testkit/components';
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startWatchedRedis,
} from '@couplet/testkit/redis-servers';
import { startTcpProxy } from '@couplet/testkit/tcp-proxy';
import { expect, onTestFinished, test } from 'vitest';
import { defineScript, type Redis } from '../../src/redis/client.js';
import { openNodeChannel } from '../../src/redis/node-channel.js';
import { openRedis } from '../support/redis-stores.js';

const TIMEOUT_MS = 2000;
const SET = defineScript('set', "return redis.call('SET', KEYS[1], ARGV[1])");

/** Resolves to the time in milliseconds since `start` at which `attempt` first succeeds. */
async function succeeds(start: number, attempt: () => Promise<unknown>): Promise<number> {
  for (;;) {
    const done = await attempt().then(
      (value) => value !== false,
      () => false,
    );
    if (done) return Math.round(performance.now() - start);
    await delay(20);
  }
}

/** Makes many calls in three seconds. Resolves to the longest time when each has been answered or rejected. */
async function longestCall(call: () => Promise<unknown>): Promise<number> {
  let longest = 0;
  const pending: Promise<void>[] = [];
  for (let n = 0; n < 150; n++) {
    const start = performance.now();
    const settled = () => {
      longest = Math.max(longest, performance.now() - start);
    };
    pending.push(call().then(settled, settled));
    await delay(20);
  }
  await Promise.all(pending);
  return Math.round(longest);
}

/** A subscribed channel, with the number of subscriptions so far. */
async function openChannel(redis: Redis) {
  const channel = openNodeChannel(redis, 'test:', 'node');
  onTestFinished(() => channel.close());
  const events = { channel, heard: new Set<string>(), begun: 0 };
  channel.on('a', (body) => events.heard.add(body));
  channel.onSubscribed(() => {
    events.begun += 1;
  });
  await expect.poll(() => events.begun).toBe(1);
  return events;
}

/** Sends until a message arrives. */
const arrives = ({ channel, heard }: Awaited<ReturnType<typeof openChannel>>, start: number) => {
  let number = 0;
  return succeeds(start, async () => {
    await channel.send('node', 'a', `${++number}`);
    await delay(10);
    return heard.size > 0;
  });
};

const report = (what: string, figures: Record<string, number>) =>
  process.stdout.write(`${what}: ${JSON.stringify(figures)} (ms)\n`);

describeWith(['redis-server'], 'after a fault', () => {
  test('of a master with Sentinels, calls and messages succeed again, and no write that a replica confirmed is lost', async () => {
    const watched = await startWatchedRedis({ downAfterMs: 500 });
    onTestFinished(() => watched.dispose());
    const redis = await openRedis(watched.url, { replicasAck: 1, timeoutMs: TIMEOUT_MS });
    const events = await openChannel(redis);
    const keys = Array.from({ length: 50 }, (_, n) => `key${n}`);
    for (const key of keys) await redis.write(SET, [key], [key]);
    const [master] = watched.servers;
    const start = performance.now();
    await master.stop('SIGKILL');
    const calls = await succeeds(start, () => redis.run(SET, ['{a}key'], ['x']));
    const messages = await arrives(events, start);
    report('Sentinel, master killed', { calls, messages });
    for (const key of keys) expect(await redis.command(key, ['GET', key])).toBe(key);
    await master.start();
    // The old master is a replica now, so writes have one again.
    await succeeds(start, () => redis.write(SET, ['{a}key'], ['y']));
  });

  test('of a master of a cluster, the others serve, and all calls and messages succeed again', async () => {
    const cluster = await startRedisCluster(3, true);
    onTestFinished(() => cluster.dispose());
    const redis = await openRedis(cluster.url, { timeoutMs: TIMEOUT_MS });
    const keys = Array.from({ length: 30 }, (_, n) => `{${n}}key`);
    const events = await openChannel(redis);
    const start = performance.now();
    await (cluster.servers[1] as RedisServer).stop('SIGKILL');
    const setAll = () => keys.map((key) => redis.run(SET, [key], ['x']));
    const outcomes = await Promise.allSettled(setAll());
    expect(outcomes.some(({ status }) => status === 'fulfilled')).toBe(true);
    const calls = await succeeds(start, () => Promise.all(setAll()));
    const messages = await arrives(events, start);
    report('Cluster, master killed', { calls, messages });
    const fresh = await openRedis(cluster.url);
    await Promise.all(keys.map((key) => fresh.run(SET, [key], ['x'])));
  });

  test.each([
    ['alone', 1],
    ['of a cluster', 3],
  ])(
    'of a server %s that stands still, every call ends without it, and later calls succeed',
    async (_, masters) => {
      const cluster = masters === 1 ? undefined : await startRedisCluster(masters);
      const server =
        cluster === undefined ? await startRedis() : (cluster.servers[1] as RedisServer);
      onTestFinished(() => (cluster ?? server).dispose());
      const redis = await openRedis((cluster ?? server).url, { timeoutMs: TIMEOUT_MS });
      const keys = Array.from({ length: 30 }, (_, n) => `{${n}}key`);
      const all = () => Promise.all(keys.map((key) => redis.run(SET, [key], ['x'])));
      await all();
      server.pause();
      onTestFinished(() => server.resume());
      const longest = await longestCall(() =>
        Promise.allSettled(keys.map((key) => redis.run(SET, [key], ['x']))),
      );
      server.resume();
      const calls = await succeeds(performance.now(), all);
      report(`Redis, ${masters} masters, one stands still`, { longest, calls });
    },
  );

  test('a half-open subscriber is replaced, and its owner is told', async () => {
    const server = await startRedis();
    onTestFinished(() => server.dispose());
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const redis = await openRedis(`redis://127.0.0.1:${proxy.port}`, { timeoutMs: TIMEOUT_MS });
    const events = await openChannel(redis);
    proxy.strand();
    const start = performance.now();
    const messages = await arrives(events, start);
    report('half-open connections', { messages });
    expect(events.begun).toBeGreaterThan(1);
  });
});
