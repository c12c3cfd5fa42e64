// PairingStore on Redis: the contract of every store, on a single server, on a Cluster and behind Sentinels.
import { afterAll, beforeAll, describe } from 'vitest';
import { openRedisStore } from '../../src/pairing/redis-store.js';
import { pairingStoreContract } from '../contract/pairing-store.js';
import { describeWith } from '../support/components.js';
import { startRedis, startRedisCluster, startWatchedRedis } from '../support/redis-servers.js';
import { newPrefix, openRedis } from '../support/redis-stores.js';

describeWith(['redis-server'], 'Redis', () => {
  describe.each([
    ['a single Redis', () => startRedis()],
    ['a Redis Cluster of three masters', () => startRedisCluster()],
    ['a Redis behind Sentinels', () => startWatchedRedis()],
  ])('%s', (name, start) => {
    let servers: Awaited<ReturnType<typeof start>>;
    beforeAll(async () => {
      servers = await start();
    });
    afterAll(() => servers?.dispose());
    pairingStoreContract(name, async () => {
      const prefix = newPrefix();
      return async (limits = {}) =>
        openRedisStore(await openRedis(servers.url), { prefix, limits });
    });
  });
});
