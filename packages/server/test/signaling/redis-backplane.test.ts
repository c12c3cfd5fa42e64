// The backplane on Redis keeps the backplane contract: one node or three, a single Redis or a Cluster of three masters.
import { afterAll } from 'vitest';
import { backplaneContract } from '../contract/backplane.js';
import { openRedis, RedisNodes } from '../support/redis-nodes.js';
import { startRedis, startRedisCluster } from '../support/redis-servers.js';

const single = await startRedis();
afterAll(() => single.dispose());
const cluster = await startRedisCluster();
afterAll(() => cluster.dispose());

for (const [where, url] of [
  ['a single Redis', single.url],
  ['a Redis Cluster', cluster.url],
] as const) {
  const redises = await Promise.all([url, url, url].map((one) => openRedis(one)));
  afterAll(() => {
    for (const redis of redises) redis.close();
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
}
