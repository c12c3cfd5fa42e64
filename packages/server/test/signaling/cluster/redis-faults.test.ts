// Rooms on a real Redis that loses connections, and the commands per message.
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { startTcpProxy } from '@couplet/testkit/tcp-proxy';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/base/clock.js';
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
  async function twoNodes({
    urls = [server.url, server.url],
    leaseSeconds = 300,
    timeoutMs = 60_000,
    clock = systemClock as Clock,
  } = {}) {
    const connections = new RecordingConnections();
    const redises = await Promise.all(urls.map((url) => connectTo(url, { timeoutMs })));
    const world = await RedisNodes.start(connections, redises, leaseSeconds, clock);
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

  test('messages of one turn between two nodes are one publication, in order', async () => {
    // No acknowledgment and no repeated publication is due while the clock stands still.
    const clock = new FakeClock(Date.now());
    const { connections, world, first, pair } = await twoNodes({ clock });
    await pair('a0', 'b1');
    const before = first.redis.operations();
    const frames = Array.from({ length: 100 }, (_, n) => `frame ${n}`);
    for (const frame of frames) first.backplane.forward('a0', 'b1', frame);
    await world.settle();
    expect(connections.frames('b1')).toEqual(frames);
    expect(first.redis.operations() - before).toBe(1);
  });

  test('messages during a lost subscription, and those that a killed connection loses, arrive once and in order', async () => {
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const urls = [`redis://127.0.0.1:${proxy.port}`, server.url];
    const { connections, first, world, pair } = await twoNodes({
      urls,
      leaseSeconds: 30,
      timeoutMs: 500,
    });
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
