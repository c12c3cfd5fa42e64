// Runs several nodes in this process over a real Redis, for the backplane.
import { randomUUID } from 'node:crypto';
import { eventually } from '@couplet/testkit/eventually';
import { type Logger, pino } from 'pino';
import { systemClock } from '../../src/base/clock.js';
import type { Redis } from '../../src/redis/client.js';
import { type NodeChannel, openNodeChannel } from '../../src/redis/node-channel.js';
import type { ClusterBackplane } from '../../src/signaling/cluster/backplane.js';
import { createRedisBackplane } from '../../src/signaling/cluster/redis-backplane.js';
import type { BackplaneUnderTest, RecordingConnections } from '../contract/backplane.js';

export interface RedisNode {
  backplane: ClusterBackplane;
  channel: NodeChannel;
}

export class RedisNodes implements BackplaneUnderTest {
  readonly nodes: RedisNode[] = [];
  /** Number of calls in progress. */
  #calling = 0;

  /**
   * Starts one node for each Redis connection.
   *
   * @param leaseSeconds - short if a test waits for the end of a lease
   */
  static async start(
    connections: RecordingConnections,
    redises: readonly Redis[],
    leaseSeconds = 10,
  ): Promise<RedisNodes> {
    const all = new RedisNodes();
    const prefix = `t${randomUUID().slice(0, 8)}:`;
    const log = pino({ level: 'silent' }) as Logger;
    const deps = { clock: systemClock, log, leaseMs: leaseSeconds * 1000 };
    for (const redis of redises) {
      const counted = all.#countCalls(redis);
      const channel = openNodeChannel(counted, prefix, randomUUID());
      const backplane = createRedisBackplane(connections, counted, prefix, channel, deps);
      all.nodes.push({ backplane, channel });
      await eventually(async () => {
        if (!channel.isSubscribed()) throw new Error('no channel');
        await backplane.check();
      });
    }
    return all;
  }

  backplaneOf(connectionId: string): ClusterBackplane {
    const last = connectionId.charCodeAt(connectionId.length - 1);
    return (this.nodes[last % this.nodes.length] as RedisNode).backplane;
  }

  async settle(): Promise<void> {
    for (let calm = 0; calm < 3; ) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      calm = this.#isBusy() ? 0 : calm + 1;
    }
  }

  #countCalls(redis: Redis): Redis {
    const counted = new Set<PropertyKey>(['command', 'run', 'write', 'publish']);
    return new Proxy(redis, {
      get: (_, name) => {
        const value = Reflect.get(redis, name, redis);
        if (!counted.has(name)) return value;
        return async (...args: unknown[]) => {
          this.#calling += 1;
          try {
            return await value.apply(redis, args);
          } finally {
            this.#calling -= 1;
          }
        };
      },
    });
  }

  #isBusy(): boolean {
    let travelling = this.#calling;
    for (const { backplane } of this.nodes) {
      travelling += backplane.counters.batchesSent - backplane.counters.batchesReceived;
    }
    return travelling !== 0;
  }

  async close(): Promise<void> {
    for (const { backplane, channel } of this.nodes) {
      await backplane.close();
      channel.close();
    }
  }
}
