// Several servers over a Redis Cluster act as one. While Redis is unreachable they answer 503, and recover by themselves.

import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
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
import { startServer } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { newPrefix } from '../support/redis-stores.js';

/** Servers over one Redis; each is closed when the test ends. */
async function startNodes(
  url: string,
  count: number,
  env: Record<string, string> = {},
  clock?: FakeClock,
) {
  // A slow machine causes no timeout.
  const common = { REDIS_URL: url, REDIS_PREFIX: newPrefix(), REDIS_TIMEOUT_MS: '60000' };
  const start = () => startServer({ ...common, ...env }, clock ? { clock } : {});
  const nodes = await Promise.all(Array.from({ length: count }, start));
  for (const node of nodes) onTestFinished(() => node.close());
  for (const node of nodes) {
    await eventually(async () => expect((await fetch(`${node.url}/readyz`)).status).toBe(200));
  }
  return nodes.map(({ url: nodeUrl }) => nodeUrl);
}

const check = (url: string, pending: { joinid: string; client1: string }, wait?: number) =>
  call(
    url,
    'POST',
    '/api/rooms/check',
    { joinid: pending.joinid, client1: pending.client1 },
    wait === undefined ? {} : { prefer: `wait=${wait}` },
  );

describeWith(['redis-server'], 'nodes over a Redis Cluster', () => {
  let cluster: RedisCluster;
  beforeAll(async () => {
    cluster = await startRedisCluster();
  });
  afterAll(() => cluster?.dispose());

  test('a code made at one node is accepted at another by one of many accepts, and collected at a third', async () => {
    const [one, two, three] = (await startNodes(cluster.url, 3)) as [string, string, string];
    const pending = await createPending(one);
    const answers = await Promise.all(
      Array.from({ length: 30 }, (_, n) =>
        call([one, two, three][n % 3] as string, 'POST', '/api/rooms/accept', {
          joinid: pending.joinid,
          client2: `device ${n}`,
        }),
      ),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array(29).fill(409)]);
    const roomid = answers.find(({ status }) => status === 200)?.body?.roomid;
    expect((await check(three, pending)).body).toEqual({ roomid });
    for (const url of [one, two]) {
      expect((await call(url, 'GET', `/api/rooms?roomid=${roomid}`)).status).toBe(200);
    }
  });

  test('a held check is woken from another node, and asks Redis nothing meanwhile', async () => {
    // With a longer lease, no renewal is due while the test moves the clock.
    const env = { LEASE_SECONDS: '300' };
    const clock = new FakeClock(Date.now());
    const [one, two] = (await startNodes(cluster.url, 2, env, clock)) as [string, string];
    const pending = await createPending(one);
    const held = check(one, pending, 25);
    await eventually(async () => expect(await readMetric(one, 'couplet_waiting_checks')).toBe(1));
    const asked = () => readMetric(one, 'couplet_redis_operations_total');
    // A scrape itself runs commands: two scrapes show how many. The node may run others for itself, but not all the time.
    await eventually(async () => {
      const [first, second] = [await asked(), await asked()];
      clock.advance(1000);
      expect((await asked()) - second).toBeLessThanOrEqual(second - first);
    });
    const client2 = someDevice();
    const accepted = await call(two, 'POST', '/api/rooms/accept', {
      joinid: pending.joinid,
      client2,
    });
    const answer = await held;
    expect(answer.status).toBe(200);
    expect(answer.body).toEqual({ roomid: accepted.body?.roomid });
  });

  test('a wake that was lost without a subscription is replaced by a read after the next one', async () => {
    // The check stays held, because the clock stands still.
    const clock = new FakeClock(Date.now());
    const [one, two] = (await startNodes(cluster.url, 2, {}, clock)) as [string, string];
    const pending = await createPending(one);
    const held = check(one, pending, 25);
    await eventually(async () => expect(await readMetric(one, 'couplet_waiting_checks')).toBe(1));
    const cut = () =>
      Promise.all(cluster.servers.map(({ admin }) => admin('CLIENT', 'KILL', 'TYPE', 'pubsub')));
    // With or without a subscription at the moment of the accept, the check is answered at once.
    const [, accepted] = await Promise.all([
      cut(),
      call(two, 'POST', '/api/rooms/accept', { joinid: pending.joinid, client2: someDevice() }),
    ]);
    expect((await held).body).toEqual({ roomid: accepted.body?.roomid });
  });
});

describeWith(['redis-server'], 'nodes whose Redis fails', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    redis = await startRedis(['appendonly yes', 'appendfsync always']);
  });
  afterAll(() => redis?.dispose());

  /** Every kind of request; none may be answered as if its subject did not exist. */
  const ask = (url: string, room: { roomid: string; client1: string }) =>
    Promise.all([
      call(url, 'POST', '/api/rooms', {
        joinid: someCode(),
        client1: someDevice(),
        expiresInSeconds: 60,
      }),
      call(url, 'POST', '/api/rooms/accept', { joinid: someCode(), client2: someDevice() }),
      call(url, 'POST', '/api/rooms/check', { joinid: someCode(), client1: someDevice() }),
      call(url, 'GET', `/api/rooms?roomid=${room.roomid}`),
      call(url, 'POST', '/api/ice-servers', { roomid: room.roomid, client: room.client1 }),
    ]);

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
      await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(503));
      expect((await fetch(`${url}/healthz`)).status).toBe(200);
      await restore();
      await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200));
      expect((await check(url, pending)).status).toBe(204);
      const found = await call(url, 'GET', `/api/rooms?roomid=${room.roomid}`);
      expect(found.body).toEqual(room);
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
    const common = { REDIS_URL: redis.url, REDIS_PREFIX: newPrefix() };
    const server = await startServer({ ...common, REDIS_TIMEOUT_MS: '60000' });
    onTestFinished(() => server.close());
    expect((await fetch(`${server.url}/readyz`)).status).toBe(503);
    await redis.start();
    await eventually(async () => expect((await fetch(`${server.url}/readyz`)).status).toBe(200));
    await pairDevices(server.url);
  });
});
