// Rooms on a real Redis whose connections are lost.
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { startRedis } from '@couplet/testkit/redis-servers';
import { startTcpProxy } from '@couplet/testkit/tcp-proxy';
import { expect, onTestFinished, test } from 'vitest';
import { RecordingConnections } from '../../contract/backplane.js';
import { type RedisNode, RedisNodes } from '../../support/redis-nodes.js';
import { openRedis } from '../../support/redis-stores.js';

describeWith(['redis-server'], 'rooms on Redis', () => {
  test('messages during a lost subscription, and those that a killed connection loses, arrive once and in order', async () => {
    const server = await startRedis(['appendonly yes', 'appendfsync always']);
    onTestFinished(() => server.dispose());
    const proxy = await startTcpProxy(server.port);
    onTestFinished(() => proxy.close());
    const urls = [`redis://127.0.0.1:${proxy.port}`, server.url];
    const redises = await Promise.all(urls.map((url) => openRedis(url, { timeoutMs: 500 })));
    const connections = new RecordingConnections();
    const world = await RedisNodes.start(connections, redises, 30);
    onTestFinished(() => world.close());
    for (const connectionId of ['a0', 'b1']) {
      const member = { connectionId, deviceId: null };
      await world.backplaneOf(connectionId).join('r', member, null, null);
    }
    await world.settle();
    for (const id of ['a0', 'b1']) connections.take(id);
    const [first] = world.nodes as [RedisNode, RedisNode];
    const frames = Array.from({ length: 300 }, (_, n) => `frame ${n}`);
    for (const [n, frame] of frames.entries()) {
      world.backplaneOf('b1').forward('b1', 'a0', frame);
      if (n === 50) await server.admin('CLIENT', 'KILL', 'TYPE', 'pubsub');
      if (n === 100) await server.admin('CLIENT', 'KILL', 'TYPE', 'normal');
      if (n === 150) proxy.cut();
      if (n === 250) {
        await eventually(() => expect(first.channel.isSubscribed()).toBe(false));
        proxy.mend();
      }
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
    await eventually(() => expect(connections.frames('a0')).toEqual(frames));
    expect([connections.take('a0'), connections.take('b1')]).toEqual([[], []]);
  });
});
