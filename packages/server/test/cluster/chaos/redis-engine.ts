// What the Redis of a run is made of, whatever its mode: settings, and the ways of the nodes to it.
import { setTimeout as sleep } from 'node:timers/promises';
import type { RedisServer } from '@couplet/testkit/redis-servers';
import type { FaultProxy } from './fault-proxies.js';
import type { Engine } from './faults.js';

export interface RedisEngine extends Engine {
  /** REDIS_URL of each node: its own way to Redis. */
  readonly urls: readonly string[];
}

/** What was answered is in the file, so that a server that is killed and started again has it. */
export const DURABLE = ['appendonly yes', 'appendfsync always', 'repl-diskless-sync-delay 0'];

/** REDIS_REPLICAS_ACK of the nodes, and how many replicas a master has: then no failover loses what was answered. */
export const REPLICAS_ACK = 1;

/** For everything to be as it should be again after a fault, on a machine that is busy. */
export const SETTLED_MS = 30_000;

/** A silence that the others take for death: a short one when there is to be a failover, and only then. */
export const DEATH_MS = { prompt: 1000, never: 60_000 };

/** The way of one node. */
export interface Way {
  url: string;
  proxies: readonly FaultProxy[];
}

/** What tells of the masters of one mode. */
export interface Masters {
  /** Those of now. */
  all(): Promise<readonly RedisServer[]>;
  /** The next one to end. */
  victim(): Promise<RedisServer>;
  /** Resolves when another one has the place of this one, which has ended. */
  succeeded(ended: RedisServer): Promise<void>;
  /** From now on a silence of so many milliseconds is taken for death. */
  takeForDeath(ms: number): Promise<unknown>;
  /** Resolves when all is as it should be. */
  settled(): Promise<void>;
}

/** The part of an engine that ends masters, at once; after its time the same server comes back, as it was. */
export function fallsOf(
  masters: Masters,
): Pick<RedisEngine, 'restart' | 'failover' | 'masters' | 'settled'> {
  const end = async (meanwhile: (ended: RedisServer) => Promise<void>) => {
    const master = await masters.victim();
    await master.stop('SIGKILL');
    await meanwhile(master);
    await master.start();
    await masters.settled();
  };
  return {
    masters: () => masters.all(),
    settled: () => masters.settled(),
    restart: (downMs) => end(() => sleep(downMs)),
    async failover(downMs) {
      await masters.takeForDeath(DEATH_MS.prompt);
      await end(async (ended) => {
        await masters.succeeded(ended);
        await sleep(downMs);
      });
      await masters.takeForDeath(DEATH_MS.never);
    },
  };
}

/** The part of an engine that is done by proxies. */
export function cutsOf(ways: readonly Way[]): Pick<RedisEngine, 'urls' | 'cut' | 'mend'> {
  const proxiesOf = (node: number) => ways[node]?.proxies ?? [];
  return {
    urls: ways.map(({ url }) => url),
    async cut(node, how) {
      await Promise.all(proxiesOf(node).map((proxy) => proxy.cut(how)));
    },
    async mend(node) {
      await Promise.all(proxiesOf(node).map((proxy) => proxy.mend()));
    },
  };
}
