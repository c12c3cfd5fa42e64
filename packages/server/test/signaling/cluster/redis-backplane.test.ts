// The backplane on Redis passes the backplane contract: with one node on a single Redis, and with three on a Cluster of three masters.

import { describeWith } from '@couplet/testkit/components';
import { startRedis, startRedisCluster } from '@couplet/testkit/redis-servers';
import { beforeAll } from 'vitest';
import type { Redis } from '../../../src/redis/client.js';
import { backplaneContract } from '../../contract/backplane.js';
import { RedisNodes } from '../../support/redis-nodes.js';
import { connectTo } from '../../support/redis-stores.js';

for (const [where, count, start] of [
  ['one node on a single Redis', 1, () => startRedis()],
  ['three nodes on a Redis Cluster', 3, () => startRedisCluster()],
] as const) {
  describeWith(['redis-server'], where, () => {
    let redises: Redis[] = [];
    beforeAll(async () => {
      const { url, dispose } = await start();
      redises = await Promise.all([url, url, url].map((one) => connectTo(one)));
      return async () => {
        for (const redis of redises) redis.close();
        await dispose();
      };
    });
    backplaneContract(where, (connections) =>
      RedisNodes.start(connections, redises.slice(0, count)),
    );
  });
}
