// The backplane on Redis keeps the backplane contract: one node or three, a single Redis or a Cluster of three masters.
import { beforeAll } from 'vitest';
import type { Redis } from '../../src/platform/redis.js';
import { backplaneContract } from '../contract/backplane.js';
import { describeWith } from '../support/components.js';
import { openRedis, RedisNodes } from '../support/redis-nodes.js';
import { startRedis, startRedisCluster } from '../support/redis-servers.js';

for (const [where, start] of [
  ['a single Redis', () => startRedis()],
  ['a Redis Cluster', () => startRedisCluster()],
] as const) {
  describeWith(['redis-server'], where, () => {
    let redises: Redis[] = [];
    beforeAll(async () => {
      const { url, dispose } = await start();
      redises = await Promise.all([url, url, url].map((one) => openRedis(one)));
      return async () => {
        for (const redis of redises) redis.close();
        await dispose();
      };
    });
    backplaneContract(
      `one node on ${where}`,
      (connections) => RedisNodes.start(connections, redises.slice(0, 1)),
      50,
    );
    backplaneContract(
      `three nodes on ${where}`,
      (connections) => RedisNodes.start(connections, redises),
      50,
    );
  });
}
