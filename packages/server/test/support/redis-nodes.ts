// Runs several nodes in this process over a real Redis, for the backplane.
import { randomUUID } from 'node:crypto';
import { eventually } from '@couplet/testkit/eventually';
import { type Logger, pino } from 'pino';
import { systemClock } from '../../src/base/clock.js';
import type { Redis } from '../../src/redis/client.js';
import { type NodeChannel, openNodeChannel } from '../../src/redis/node-channel.js';
import type { ClusterBackplane } from '../../src/signaling/cluster/backplane.js';
import { createRedisBackplane } from '../../src/signaling/cluster/redis.js';
import type { BackplaneUnderTest, RecordingConnections } from '../contract/backplane.js';

export interface RedisNode {
  backplane: ClusterBackplane;
  channel: NodeChannel;
  redis: Redis;
}

export class RedisNodes implements BackplaneUnderTest {
  readonly nodes: RedisNode[] = [];
  readonly connections: RecordingConnections;
  readonly #prefix: string;
  readonly #leaseSeconds: number;
  /** Number of calls in progress. */
  #calling = 0;

  /** @param leaseSeconds - short if a test waits for the end of a lease */
  constructor(
    connections: RecordingConnections,
    leaseSeconds = 10,
    prefix = `t${randomUUID().slice(0, 8)}:`,
  ) {
    this.connections = connections;
    this.#prefix = prefix;
    this.#leaseSeconds = leaseSeconds;
  }

  /** Starts one node for each Redis connection. */
  static async start(
    connections: RecordingConnections,
    redises: readonly Redis[],
    leaseSeconds = 10,
  ): Promise<RedisNodes> {
    const nodes = new RedisNodes(connections, leaseSeconds);
    for (const redis of redises) await nodes.add(redis);
    return nodes;
  }

  async add(redis: Redis): Promise<RedisNode> {
    const counted = this.#countCalls(redis);
    const channel = openNodeChannel(counted, this.#prefix, randomUUID());
    const backplane = createRedisBackplane(this.connections, counted, this.#prefix, channel, {
      clock: systemClock,
      log: pino({ level: 'silent' }) as Logger,
      leaseMs: this.#leaseSeconds * 1000,
    });
    const node = { backplane, channel, redis };
    this.nodes.push(node);
    await eventually(async () => {
      if (!channel.isSubscribed()) throw new Error('no channel');
      await backplane.check();
    });
    return node;
  }

  node(index: number): RedisNode {
    return this.nodes[index] as RedisNode;
  }

  backplaneOf(connectionId: string): ClusterBackplane {
    const last = connectionId.charCodeAt(connectionId.length - 1);
    return this.node(last % this.nodes.length).backplane;
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
