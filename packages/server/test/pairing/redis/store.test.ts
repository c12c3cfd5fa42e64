// PairingStore on Redis passes the store contract on a single server, on a Cluster and behind Sentinels.

import { describeWith } from '@couplet/testkit/components';
import {
  type RedisServer,
  startRedis,
  startRedisCluster,
  startWatchedRedis,
} from '@couplet/testkit/redis-servers';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { openRedisStore } from '../../../src/pairing/redis/store.js';
import { SLOTS, slotOf } from '../../../src/redis/servers.js';
import { pairingStoreContract } from '../../contract/pairing-store.js';
import { newPrefix, openRedis } from '../../support/redis-stores.js';
import { accept, create } from '../../support/store-calls.js';

describeWith(['redis-server'], 'Redis', () => {
  test('during a migration of the slot of pairing, no wrong answer is given', async () => {
    const cluster = await startRedisCluster();
    onTestFinished(cluster.dispose);
    const redis = await openRedis(cluster.url);
    const prefix = newPrefix();
    const store = openRedisStore(redis, { prefix });
    const slot = slotOf(`${prefix}{pairing}`);
    const source = Math.floor(slot / Math.ceil(SLOTS / cluster.servers.length));
    const target = (source + 1) % cluster.servers.length;
    const now = Date.now();
    await create(store, '000001', 'a', now + 60_000, now);
    await create(store, '000002', 'b', now + 60_000, now);
    const [from, to] = [source, target].map((n) => cluster.servers[n] as RedisServer) as [
      RedisServer,
      RedisServer,
    ];
    const id = async (server: RedisServer) => String(await server.admin('CLUSTER', 'MYID'));
    const setSlot = async (server: RedisServer, how: string, other: RedisServer) =>
      server.admin('CLUSTER', 'SETSLOT', String(slot), how, await id(other));
    await setSlot(to, 'IMPORTING', from);
    await setSlot(from, 'MIGRATING', to);
    const refused = async () => {
      await expect(store.check('000001', 'a', now)).rejects.toThrow(Unavailable);
      await expect(store.check('000002', 'b', now)).rejects.toThrow(Unavailable);
      await expect(accept(store, '000001', 'c', 'room', now, now)).rejects.toThrow(Unavailable);
    };
    await refused();
    // Now half of the keys are on each master.
    const key = `${prefix}{pairing}pending:000001`;
    await from.admin('MIGRATE', '127.0.0.1', String(to.port), key, '0', '3000');
    await refused();
    await cluster.moveSlot(slot, target);
    expect((await store.check('000001', 'a', now)).kind).toBe('waiting');
    expect((await store.check('000002', 'b', now)).kind).toBe('waiting');
  });

  test('a wake that could not be sent to the node of a held check is sent again', async () => {
    const server = await startRedis();
    onTestFinished(server.dispose);
    const prefix = newPrefix();
    const wakes: string[] = [];
    const storeOf = async (nodeId: string) => {
      const send = async (...wake: string[]) => {
        if (wakes.push(wake.join(' ')) === 1) throw new Unavailable(new Error('not connected'));
        return true;
      };
      const channel = { nodeId, on: () => undefined, send };
      return openRedisStore(await openRedis(server.url), { prefix, channel });
    };
    const [holder, other] = [await storeOf('holder'), await storeOf('other')];
    const now = Date.now();
    await create(holder, '000001', 'a', now + 60_000, now);
    await holder.check('000001', 'a', now, undefined, false);
    await accept(other, '000001', 'b', 'room', now, now);
    await expect.poll(() => wakes, { timeout: 30_000 }).toEqual(Array(2).fill('holder w 000001'));
  });

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
        openRedisStore(await openRedis(servers.url), { prefix, limits, isTimeGiven: true });
    });
  });
});
