// Several servers over a Redis Cluster act as one. While Redis is unreachable they answer 503, and recover by themselves.

import {
  createPending,
  newPending,
  pairDevices,
  roomsApi,
  someCode,
  someDevice,
} from '@couplet/testkit/api';
import { readMetric } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import {
  type RedisCluster,
  type RedisServer,
  startRedis,
  startRedisCluster,
} from '@couplet/testkit/redis-servers';
import { serverForTest } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { newPrefix } from '../support/redis-stores.js';

/** Servers over one Redis, ready; each is closed when the test ends. */
async function startNodes(
  url: string,
  count: number,
  env: Record<string, string> = {},
  deps: { clock?: FakeClock } = {},
) {
  // A slow machine causes no timeout.
  const common = { REDIS_URL: url, REDIS_PREFIX: newPrefix(), REDIS_TIMEOUT_MS: '60000' };
  const start = () => serverForTest({ ...common, ...env }, deps);
  const nodes = await Promise.all(Array.from({ length: count }, start));
  for (const node of nodes) await isReady(node.url);
  return nodes.map((node) => node.url);
}

const statusOf = async (url: string) => (await fetch(url)).status;
const isReady = (url: string, status = 200) =>
  eventually(async () => expect(await statusOf(`${url}/readyz`)).toBe(status));

describeWith(['redis-server'], 'nodes over a Redis Cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  /** Two nodes whose clock the test moves, the first with a held check. */
  const holdCheck = async (clock: FakeClock, env: Record<string, string> = {}) => {
    const [one, two] = (await startNodes(cluster.url, 2, env, { clock })) as [string, string];
    const pending = await createPending(one);
    const held = roomsApi(one).check(pending, { prefer: 'wait=25' });
    await eventually(async () => expect(await readMetric(one, 'couplet_waiting_checks')).toBe(1));
    const { joinid } = pending;
    const accept = () => roomsApi(two).accept({ joinid, client2: someDevice() });
    return { one, held, accept };
  };

  test('a held check is woken from another node, and asks Redis nothing meanwhile', async () => {
    const clock = new FakeClock(Date.now());
    // With a longer lease, no renewal is due while the test moves the clock.
    const { one, held, accept } = await holdCheck(clock, { LEASE_SECONDS: '300' });
    const asked = () => readMetric(one, 'couplet_redis_operations_total');
    // A scrape itself runs commands: two scrapes show how many. The node may run others for itself, but not all the time.
    await eventually(async () => {
      const [first, second] = [await asked(), await asked()];
      clock.advance(1000);
      expect((await asked()) - second).toBeLessThanOrEqual(second - first);
    });
    const { body } = await accept();
    expect(await held).toMatchObject({ status: 200, body: { roomid: body?.roomid } });
  });

  test('a wake that was lost without a subscription is replaced by a read after the next one', async () => {
    // The check stays held, because the clock stands still.
    const { held, accept } = await holdCheck(new FakeClock(Date.now()));
    const cut = () =>
      Promise.all(cluster.servers.map(({ admin }) => admin('CLIENT', 'KILL', 'TYPE', 'pubsub')));
    // With or without a subscription at the moment of the accept, the check is answered at once.
    const [, { body }] = await Promise.all([cut(), accept()]);
    expect(await held).toMatchObject({ status: 200, body: { roomid: body?.roomid } });
  });
});

describeWith(['redis-server'], 'nodes whose Redis fails', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis(['appendonly yes', 'appendfsync always']);
  });
  afterAll(() => redis?.dispose());

  /** Every kind of request; none may be answered as if its subject did not exist. */
  const ask = (url: string, { roomid, client1 }: { roomid: string; client1: string }) => {
    const api = roomsApi(url);
    const pending = newPending();
    return Promise.all([
      api.create(pending),
      api.accept({ joinid: someCode(), client2: someDevice() }),
      api.check(pending),
      api.room(roomid),
      api.iceServers({ roomid, client: client1 }),
    ]);
  };

  test.each([
    ['is gone', () => redis.stop(), () => redis.start()],
    ['stands still', async () => redis.pause(), async () => redis.resume()],
  ])(
    'while Redis %s, requests are 503 with Retry-After; afterwards they succeed, and nothing answered is lost',
    async (_how, fail, restore) => {
      const [url] = (await startNodes(redis.url, 1, { REDIS_TIMEOUT_MS: '2000' })) as [string];
      const room = await pairDevices(url);
      const pending = await createPending(url);
      await fail();
      for (let round = 0; round < 2; round++) {
        for (const answer of await ask(url, room)) {
          expect(answer.status).toBe(503);
          expect(answer.body).toEqual({ error: 'unavailable' });
          expect(answer.headers.get('retry-after')).toMatch(/^[1-9]\d*$/);
        }
      }
      await isReady(url, 503);
      expect(await statusOf(`${url}/healthz`)).toBe(200);
      await restore();
      await isReady(url);
      expect((await roomsApi(url).check(pending)).status).toBe(204);
      expect((await roomsApi(url).room(room.roomid)).body).toEqual(room);
    },
  );

  test('after Redis has lost its data, a stranger gets no seat in a room that was paired', async () => {
    const env = { REQUIRE_PAIRED_ROOMS: '1' };
    const [one, two] = (await startNodes(redis.url, 2, env)) as [string, string];
    const { roomid, client1 } = await pairDevices(one);
    const member = await Peer.connect(one.replace('http', 'ws'));
    expect((await member.join(roomid, client1)).type).toBe('room_joined');
    await redis.admin('FLUSHALL');
    const stranger = await Peer.connect(two.replace('http', 'ws'));
    await eventually(async () => {
      stranger.send({ type: 'join_room', roomId: roomid, deviceId: someDevice() });
      expect(await stranger.next('error')).toMatchObject({ code: 'forbidden' });
    });
    // The member that was there keeps its seat.
    expect(await member.sync()).toEqual([]);
  });

  test('a server starts without Redis, is not ready, and serves when Redis is reachable', async () => {
    await redis.stop();
    const server = await serverForTest({ REDIS_URL: redis.url, REDIS_TIMEOUT_MS: '60000' });
    expect(await statusOf(`${server.url}/readyz`)).toBe(503);
    await redis.start();
    await isReady(server.url);
    await pairDevices(server.url);
  });
});
