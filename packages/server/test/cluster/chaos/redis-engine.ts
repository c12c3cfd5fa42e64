// What the Redis of a run is made of, whatever its mode: settings, and the ways of the nodes to it.
import type { FaultProxies, FaultProxy } from './fault-proxies.js';
import type { Engine } from './faults.js';

export interface RedisEngine extends Engine {
  /** REDIS_URL of each node: its own way to Redis. */
  readonly urls: readonly string[];
}

/** What was answered is on disk, so that a server that is killed and started again has it. */
export const DURABLE = ['appendonly yes', 'appendfsync always', 'repl-diskless-sync-delay 0'];

/** REDIS_REPLICAS_ACK of the nodes, and how many replicas a master has: then no failover loses what was answered. */
export const REPLICAS_ACK = 1;

/** For everything to be as it should be again after a fault, on a machine that is busy. */
export const SETTLED_MS = 30_000;

/** The way of one node. */
export interface Way {
  url: string;
  proxies: readonly FaultProxy[];
}

/** The part of an engine that is done by proxies. */
export function cutsOf(
  proxies: FaultProxies,
  ways: readonly Way[],
): Pick<RedisEngine, 'urls' | 'onStall' | 'cut' | 'mend'> {
  const proxiesOf = (node: number) => ways[node]?.proxies ?? [];
  return {
    urls: ways.map(({ url }) => url),
    onStall(listener) {
      proxies.onStall = listener;
    },
    async cut(node, how) {
      await Promise.all(proxiesOf(node).map((proxy) => proxy.cut(how)));
    },
    async mend(node) {
      await Promise.all(proxiesOf(node).map((proxy) => proxy.mend()));
    },
  };
}
