// Budgets in memory and in Redis: one contract; and what in Redis could be read of an address.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MemoryMinuteCount } from '../../src/platform/minute-count.js';
import { MemoryPenalties } from '../../src/platform/penalties.js';
import { MemoryQuota } from '../../src/platform/quota.js';
import {
  redisMinuteCount,
  redisPenalties,
  redisQuota,
  sharedSecret,
} from '../../src/platform/redis-budgets.js';
import { budgetContract } from '../contract/budgets.js';
import { describeWith } from '../support/components.js';
import { FakeClock } from '../support/fake-clock.js';
import { type RedisCluster, startRedisCluster } from '../support/redis-servers.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';

const POLICY = { free: 3, firstWaitSeconds: 1, maxWaitSeconds: 60, forgiveSeconds: 100 };

budgetContract('memory', async (clock) => {
  const count = new MemoryMinuteCount(clock);
  let penalties: MemoryPenalties | undefined;
  return {
    quota: (perHour) => new MemoryQuota(perHour, clock, 100),
    penalties(policy) {
      penalties ??= new MemoryPenalties(policy, clock, 100);
      return penalties;
    },
    minuteCount: () => count,
  };
});

describeWith(['redis-server'], 'in Redis', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  const open = async (clock: FakeClock) => {
    const redis = await openRedis(cluster.url);
    const prefix = newPrefix();
    let secrets = 0;
    const fresh = () => `secret ${++secrets}`;
    // Two nodes: what one asks first, the other knows.
    const deps = { redis, prefix, clock, addressKey: sharedSecret(redis, prefix, fresh) };
    return { redis, prefix, deps };
  };

  budgetContract('Redis', async (clock) => {
    const { deps } = await open(clock);
    return {
      quota: (perHour) => redisQuota('q', perHour, deps),
      penalties: (policy) => redisPenalties('p', policy, deps),
      minuteCount: () => redisMinuteCount('m', deps),
    };
  });

  test('a reservation of a node that crashed is a failure after a minute, and forgiven as one', async () => {
    const clock = new FakeClock();
    const { deps } = await open(clock);
    const penalties = redisPenalties('p', POLICY, deps);
    await penalties.reserve('a');
    clock.advance(59_999);
    expect(await penalties.reserve('a')).toMatchObject({ failures: 0, others: 1 });
    clock.advance(1);
    expect(await penalties.reserve('a')).toMatchObject({ failures: 1, others: 1 });
    clock.advance(60_000);
    const third = await penalties.reserve('a');
    expect(third).toMatchObject({ failures: 3, others: 0 });
    if (third.kind === 'reserved') third.release();
    // Three failures, the last of them made a minute and a half ago by a node that never came back.
    clock.advance(40_000);
    expect(await penalties.reserve('a')).toMatchObject({ failures: 2 });
  });

  test('two nodes have one secret, and no key or value has an address', async () => {
    const { redis, prefix, deps } = await open(new FakeClock());
    const other = sharedSecret(redis, prefix, () => 'another');
    expect(await other()).toBe(await deps.addressKey());
    await redisQuota('q', 10, deps).take('192.0.2.77');
    await redisPenalties('p', POLICY, deps).reserve('192.0.2.77');
    const seen: string[] = [];
    for await (const keys of redis.scan(`${prefix}*`)) seen.push(...keys);
    expect(seen).toHaveLength(3);
    const values = await Promise.all(seen.map((key) => redis.command(key, ['GET', key])));
    expect([...seen, ...values].join(' ')).not.toContain('192.0.2.77');
  });
});
