// Two server processes over one Redis, with peers on different nodes, one of which is killed, paused or shut down.
import { randomUUID } from 'node:crypto';
import { build, type ChildServer, startChild } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { Peer } from '@couplet/testkit/peer';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { beforeAll, expect, test } from 'vitest';

const LEASE_SECONDS = 2;

describeWith(['redis-server'], 'two servers over one Redis', () => {
  let redis: RedisServer;
  beforeAll(async () => {
    build();
    redis = await startRedis();
    return () => redis.dispose();
  });

  async function twoServers(): Promise<[ChildServer, ChildServer]> {
    const env = {
      REDIS_URL: redis.url,
      REDIS_PREFIX: `t${randomUUID().slice(0, 8)}:`,
      LEASE_SECONDS: String(LEASE_SECONDS),
    };
    const servers = await Promise.all([startChild(env), startChild(env)]);
    for (const { url } of servers) {
      await eventually(async () => expect((await fetch(`${url}/readyz`)).status).toBe(200));
    }
    return servers;
  }

  /** Two peers, each on its own server. The first is the initiator. */
  async function pairAcross(one: ChildServer, other: ChildServer, roomId: string) {
    const first = await Peer.connect(one.wsUrl);
    await first.join(roomId);
    const second = await Peer.connect(other.wsUrl);
    expect(await second.join(roomId)).toMatchObject({ userCount: 2, ready: true });
    expect(await second.next('room_ready')).toMatchObject({ isInitiator: false });
    expect(await first.next('room_ready')).toMatchObject({ isInitiator: true });
    return [first, second] as const;
  }

  test('peers on two servers get all messages in order', async () => {
    const [one, other] = await twoServers();
    const roomId = randomUUID();
    const [first, second] = await pairAcross(one, other, roomId);
    for (let n = 0; n < 200; n++) {
      first.send({ type: 'webrtc_offer', sdp: `offer ${n}` });
      second.send({ type: 'webrtc_answer', sdp: `answer ${n}` });
    }
    for (let n = 0; n < 200; n++) {
      const from = second.clientId;
      expect(await first.next()).toEqual({
        type: 'webrtc_answer',
        sdp: `answer ${n}`,
        from,
        roomId,
      });
      expect((await second.next()).sdp).toBe(`offer ${n}`);
    }
    expect(await one.metric('couplet_node_frames_sent_total')).toBe(200);
    expect(await other.metric('couplet_node_frames_received_total')).toBe(200);
  });

  test('peers of a killed server are told within its lease and a third of it', async () => {
    const [one, other] = await twoServers();
    const [first] = await pairAcross(one, other, randomUUID());
    const start = performance.now();
    await other.kill();
    expect((await first.next()).type).toBe('peer_disconnected');
    expect(performance.now() - start).toBeLessThan(LEASE_SECONDS * 1334 + 1000);
  });

  test('a server that was paused beyond its lease forwards no old message, and closes connections without a seat', async () => {
    const [one, other] = await twoServers();
    const roomId = randomUUID();
    const [zombie, survivor] = await pairAcross(one, other, roomId);
    one.signal('SIGSTOP');
    expect((await survivor.next()).type).toBe('peer_disconnected');
    const third = await Peer.connect(other.wsUrl);
    await third.join(roomId);
    expect(await third.next('room_ready')).toMatchObject({ isInitiator: false });
    expect(await survivor.next('room_ready')).toMatchObject({ isInitiator: true });
    // The message waits in the buffers of the paused process.
    zombie.send({ type: 'webrtc_offer', sdp: 'from the past' });
    one.signal('SIGCONT');
    expect(await zombie.closed).toEqual({ code: 1013, reason: 'try_again_later' });
    third.send({ type: 'webrtc_answer', sdp: 'in the present' });
    expect(await survivor.next()).toMatchObject({ sdp: 'in the present', from: third.clientId });
    expect(await survivor.sync()).toEqual([]);
    await eventually(async () => {
      expect(await one.metric('couplet_leases_lost_total')).toBe(1);
      expect(await one.metric('couplet_seats_lost_total')).toBe(1);
      expect((await fetch(`${one.url}/readyz`)).status).toBe(200);
    });
  });

  test('a server that was paused without detection continues without messages to its clients', async () => {
    const [one, other] = await twoServers();
    const [first, second] = await pairAcross(one, one, randomUUID());
    one.signal('SIGSTOP');
    await eventually(async () => expect(await other.metric('couplet_dead_nodes_total')).toBe(1));
    first.send({ type: 'webrtc_offer', sdp: 'held' });
    one.signal('SIGCONT');
    expect(await second.next()).toMatchObject({ type: 'webrtc_offer', sdp: 'held' });
    expect([await first.sync(), await second.sync()]).toEqual([[], []]);
    expect(await one.metric('couplet_seats_reclaimed_total')).toBe(2);
  });

  test('the peers of members of a server that shuts down are told at once', async () => {
    const [one, other] = await twoServers();
    const [first, second] = await pairAcross(one, other, randomUUID());
    const start = performance.now();
    other.signal('SIGTERM');
    expect((await first.next()).type).toBe('peer_disconnected');
    expect(performance.now() - start).toBeLessThan(LEASE_SECONDS * 1000);
    expect(await second.closed).toMatchObject({ code: 1012 });
    expect(await other.exited).toBe(0);
  });
});
