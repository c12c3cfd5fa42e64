// Rooms on a real Redis that loses its scripts or a connection, and the commands per message.
import { randomUUID } from 'node:crypto';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { startTcpProxy } from '@couplet/testkit/tcp-proxy';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import type { Seat } from '../../../src/signaling/room.js';
import { RecordingConnections } from '../../contract/backplane.js';
import { type RedisNode, RedisNodes } from '../../support/redis-nodes.js';
import { connectTo } from '../../support/redis-stores.js';

describeWith(['redis-server'], 'rooms on Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis(['appendonly yes', 'appendfsync always']);
    return () => server.dispose();
  });

  /** `…0` is on the first node, `…1` on the second. */
  async function twoNodes(urls = [server.url, server.url], leaseSeconds = 2) {
    const connections = new RecordingConnections();
    const redises = await Promise.all(urls.map((url) => connectTo(url, { timeoutMs: 500 })));
    const world = await RedisNodes.start(connections, redises, leaseSeconds);
    onTestFinished(async () => {
      await world.close();
      for (const redis of redises) redis.close();
    });
    const join = (connectionId: string, roomId = 'r', deviceId: string | null = null) =>
      world.backplaneOf(connectionId).join(roomId, { connectionId, deviceId }, null, null);
    const pair = async (one: string, other: string, roomId = 'r') => {
      await join(one, roomId);
      await join(other, roomId);
      await world.settle();
      connections.take(one);
      connections.take(other);
    };
    const [first] = world.nodes as [RedisNode, RedisNode];
    return { connections, world, first, join, pair };
  }

  /**
   * Sends a message and waits for its arrival, which shows that the two are peers. If the sender is told of a new
   * membership meanwhile, the message may be lost, and another one is sent.
   */
  async function reaches(
    { connections, world }: Awaited<ReturnType<typeof twoNodes>>,
    from: string,
    to: string,
  ): Promise<void> {
    let word = '';
    let seat: Seat | null | undefined;
    await eventually(() => {
      if (word === '' || connections.seats.get(from) !== seat) {
        word = randomUUID();
        seat = connections.seats.get(from);
        world.backplaneOf(from).forward(from, to, word);
      }
      expect(connections.frames(to)).toContain(word);
    });
  }

  test('messages of one turn between two nodes are one publication, in order', async () => {
    const { connections, world, first, pair } = await twoNodes(undefined, 300);
    await pair('a0', 'b1');
    const before = first.redis.operations();
    const frames = Array.from({ length: 100 }, (_, n) => `frame ${n}`);
    for (const frame of frames) first.backplane.forward('a0', 'b1', frame);
    await world.settle();
    expect(connections.frames('b1')).toEqual(frames);
    expect(first.redis.operations()).toBe(before + 1);
  });

  test('a Redis that has lost its scripts gets them again', async () => {
    const cluster = await twoNodes();
    await cluster.pair('a0', 'b1');
    await server.admin('SCRIPT', 'FLUSH');
    await cluster.world.backplaneOf('b1').depart('r', 'b1', 'leave');
    expect(await cluster.join('d1')).toBe(true);
    await cluster.world.settle();
    await reaches(cluster, 'd1', 'a0');
  });

  test('messages during a lost subscription, and those that a killed connection loses, arrive once and in order', async () => {
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const urls = [`redis://127.0.0.1:${proxy.port}`, server.url];
    const { connections, first, world, pair } = await twoNodes(urls, 30);
    await pair('a0', 'b1');
    const frames = Array.from({ length: 300 }, (_, n) => `frame ${n}`);
    const oneTurn = () => new Promise<void>((resolve) => setImmediate(resolve));
    for (const [n, frame] of frames.entries()) {
      world.backplaneOf('b1').forward('b1', 'a0', frame);
      if (n === 50) await server.admin('CLIENT', 'KILL', 'TYPE', 'pubsub');
      if (n === 100) await server.admin('CLIENT', 'KILL', 'TYPE', 'normal');
      if (n === 150) proxy.cut();
      if (n === 250) {
        await eventually(() => expect(first.channel.isSubscribed()).toBe(false));
        proxy.mend();
      }
      await oneTurn();
    }
    await eventually(() => expect(connections.frames('a0')).toEqual(frames));
    expect([connections.take('a0'), connections.take('b1')]).toEqual([[], []]);
  });
});
