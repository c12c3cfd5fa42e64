// The backplane on Redis passes the backplane contract: with one node or three, on a single Redis or a Cluster of three masters.

import { describeWith } from '@couplet/testkit/components';
import { startRedis, startRedisCluster } from '@couplet/testkit/redis-servers';
import { beforeAll } from 'vitest';
import type { Redis } from '../../../src/redis/client.js';
import { backplaneContract } from '../../contract/backplane.js';
import { RedisNodes } from '../../support/redis-nodes.js';
import { connectTo } from '../../support/redis-stores.js';

for (const [where, start] of [
  ['a single Redis', () => startRedis()],
  ['a Redis Cluster', () => startRedisCluster()],
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
    for (const [name, count] of [
      ['one node', 1],
      ['three nodes', 3],
    ] as const) {
      backplaneContract(
        `${name} on ${where}`,
        (connections) => RedisNodes.start(connections, redises.slice(0, count)),
        25,
      );
    }
  });
}
