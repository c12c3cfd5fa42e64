// The backplane on Redis passes the backplane contract: with one node or three, on a single Redis or a Cluster of three masters.

import { describeWith } from '@couplet/testkit/components';
import { startRedis, startRedisCluster } from '@couplet/testkit/redis-servers';
import { beforeAll } from 'vitest';
import type { Redis } from '../../../src/redis/client.js';
import { backplaneContract } from '../../contract/backplane.js';
import { openRedis, RedisNodes } from '../../support/redis-nodes.js';

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
