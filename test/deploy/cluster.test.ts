// Runs deploy/Caddyfile.cluster in real Caddy with real nodes and Redis: any node serves any client, and one may fail.

import { call, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { describeWith } from '@couplet/testkit/components';
import { Peer } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type ClusterNode,
  startBalancer,
  startClusterNode,
  startShippedRedis,
  untilReady,
} from './cluster.js';

const folder = temporaryFolder();

describeWith(['caddy', 'redis-server'], 'three nodes behind Caddy', () => {
  const nodes: ClusterNode[] = [];
  let balancer: { url: string; wsUrl: string };
  const stops: (() => Promise<void>)[] = [];

  beforeAll(async () => {
    const redis = await startShippedRedis(folder);
    stops.push(redis.stop);
    for (const _ of [1, 2, 3]) {
      const node = await startClusterNode(folder, { REDIS_URL: redis.url, TRUST_PROXY: '1' });
      stops.push(node.kill);
      nodes.push(node);
    }
    await untilReady(nodes);
    const { stop, ...addresses } = await startBalancer(folder, nodes);
    stops.push(stop);
    balancer = addresses;
  });
  afterAll(async () => {
    for (const stop of stops.reverse()) await stop();
  });

  /** The number of WebSockets on each node. */
  const connections = () =>
    Promise.all(
      nodes.map(async ({ url }) => {
        const metrics = await (await fetch(`${url}/metrics`)).text();
        return Number(/^couplet_connections (\d+)/m.exec(metrics)?.[1]);
      }),
    );

  test('devices pair through it and exchange messages in their rooms, on any nodes', async () => {
    for (let n = 0; n < 4; n++) {
      const { roomid, client1, client2 } = await pairDevices(balancer.url);
      const first = await Peer.connect(balancer.wsUrl);
      await first.join(roomid, client1);
      const second = await Peer.connect(balancer.wsUrl);
      await second.join(roomid, client2);
      await second.next('room_ready');
      await first.next('room_ready');
      first.send({ type: 'webrtc_offer', sdp: 'v=0\r\n' });
      expect(await second.next()).toMatchObject({ type: 'webrtc_offer', sdp: 'v=0\r\n' });
    }
    // With least connections, all nodes have some.
    expect(Math.min(...(await connections()))).toBeGreaterThan(0);
  });

  test('a held check is woken by an accept at any node', async () => {
    for (let n = 0; n < 3; n++) {
      const [joinid, client1] = [someCode(), someDevice()];
      const create = { joinid, expiresInSeconds: 60, client1 };
      expect((await call(balancer.url, 'POST', '/api/rooms', create)).status).toBe(201);
      const wait = { prefer: 'wait=20' };
      const held = call(balancer.url, 'POST', '/api/rooms/check', { joinid, client1 }, wait);
      const accept = { joinid, client2: someDevice() };
      const accepted = await call(balancer.url, 'POST', '/api/rooms/accept', accept);
      expect(await held).toMatchObject({ status: 200, body: { roomid: accepted.body?.roomid } });
    }
  });

  test('when a node is killed, its clients move to other nodes at once, and their peers are notified', async () => {
    const [victim] = nodes as [ClusterNode];
    const { roomid, client1, client2 } = await pairDevices(balancer.url);
    const lost = await Peer.connect(victim.url.replace('http', 'ws'));
    await lost.join(roomid, client1);
    const survivor = await Peer.connect((nodes[1] as ClusterNode).url.replace('http', 'ws'));
    await survivor.join(roomid, client2);
    await survivor.next('room_ready');

    await victim.kill();
    const back = await Peer.connect(balancer.wsUrl);
    await back.join(roomid, client1);
    await back.next('room_ready');
    expect(await survivor.next()).toMatchObject({ type: 'peer_disconnected' });
    await survivor.next('room_ready');
    survivor.send({ type: 'webrtc_offer', sdp: 'v=0\r\n' });
    expect(await back.next()).toMatchObject({ type: 'webrtc_offer' });

    await expect.poll(() => pairDevices(balancer.url)).toBeTruthy();
    await victim.start();
    await untilReady([victim]);
  });

  test('while no node is available, the answer is 503 in JSON', async () => {
    for (const node of nodes) await node.kill();
    const answer = await call(balancer.url, 'GET', '/api/rooms?roomid=x');
    expect(answer).toMatchObject({ status: 503, body: { error: 'unavailable' } });
    expect(answer.headers.get('retry-after')).toBe('2');
  });
});
