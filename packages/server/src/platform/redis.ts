// Redis as the rest of the server sees it: commands and scripts by key, sharded channels, and nothing that ever hangs.
//
// One interface over a single server, Sentinels and a Cluster. Whatever is asked is answered within the timeout, or
// rejects with `Unavailable`; nothing waits for Redis to come back. What it was that Redis did not answer may have
// been done all the same.
import { clusterRoutes } from './redis-cluster.js';
import { type ConnectionOptions, type RedisArgument, RedisReplyError } from './redis-connection.js';
import { createDispatcher } from './redis-dispatch.js';
import type { NodeEvents } from './redis-node.js';
import { askSentinels, type Routes, singleRoutes } from './redis-routes.js';
import type { Script } from './redis-script.js';
import { type Subscription, type SubscriptionEvents, subscribe } from './redis-subscription.js';
import type { RedisAddress, RedisTarget } from './redis-url.js';

export type { RedisArgument } from './redis-connection.js';
export { RedisReplyError } from './redis-connection.js';
export { defineScript, type Script } from './redis-script.js';
export type { Subscription, SubscriptionEvents } from './redis-subscription.js';

/** What a duration is of. */
export type RedisOperation = 'command' | 'script' | 'publish';

export interface RedisOptions {
  readonly timeoutMs: number;
  /** Replicas that a write must have reached before it counts as done. */
  readonly replicasAck: number;
  /** Told of every operation that Redis answered. */
  readonly observe?: (operation: RedisOperation, seconds: number) => void;
  /** Told whenever a server is lost, or not to be reached. */
  readonly onDown?: (cause: unknown) => void;
}

/** The first key says which server is meant: all keys of an operation lie in its slot. */
export type Keys = readonly [string, ...string[]];

export interface Redis {
  /** Runs a command at the server that has `key`; the key is to be among `args` too, where the command wants it. */
  command(key: string, args: readonly [string, ...RedisArgument[]]): Promise<unknown>;
  /** Runs a script. */
  run(script: Script, keys: Keys, args: readonly RedisArgument[]): Promise<unknown>;
  /** Runs a script that writes what is then promised: it has reached the replicas that the configuration asks for. */
  write(script: Script, keys: Keys, args: readonly RedisArgument[]): Promise<unknown>;
  /**
   * Publishes to a sharded channel; resolves to the number of subscribers that Redis knows of. Messages to one channel
   * arrive in their order, since none is sent again: one that cannot be delivered rejects.
   */
  publish(channel: string, message: string): Promise<number>;
  subscribe(channel: string, events: SubscriptionEvents): Subscription;
  /** The keys that match, portion by portion; one that is there all the while comes at least once. */
  scan(pattern: string): AsyncGenerator<string[]>;
  /** Whether every server that holds data is connected. */
  readonly isUp: boolean;
  /** Resolves to whether they are, in at most this time. */
  ready(withinMs: number): Promise<boolean>;
  /** Calls `listener` whenever a server is connected, for the first time or again. Returns what ends that. */
  onUp(listener: () => void): () => void;
  /** Reconnects to servers that had been connected. */
  readonly reconnects: number;
  /** What was asked of Redis: name of the command or script → how often. What a connection itself needs is not counted. */
  readonly counts: ReadonlyMap<string, number>;
  close(): void;
}

/** Connects, now and for ever; whether Redis is there is told by `ready`. */
export function connectRedis(target: RedisTarget, options: RedisOptions): Redis {
  const { timeoutMs, observe = () => {}, onDown = () => {} } = options;
  const database = target.kind === 'cluster' ? 0 : target.database;
  const connection = { credentials: target.credentials, database, tls: target.tls, timeoutMs };
  const listeners = new Set<() => void>();
  const counts = new Map<string, number>();
  let reconnects = 0;
  const routes = routesTo(target, connection, {
    up(isAgain) {
      if (isAgain) reconnects += 1;
      for (const listener of [...listeners]) listener();
    },
    down: onDown,
  });
  const dispatcher = createDispatcher(routes, options);
  const subscriptions = new Set<Subscription>();

  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);

  const timed = async <T>(operation: RedisOperation, name: string, work: () => Promise<T>) => {
    count(name);
    const start = performance.now();
    const result = await work();
    observe(operation, (performance.now() - start) / 1000);
    return result;
  };

  const evaluate = (
    script: Script,
    keys: Keys,
    args: readonly RedisArgument[],
    isWrite: boolean,
  ): Promise<unknown> =>
    timed('script', script.name, async () => {
      const words = [String(keys.length), ...keys, ...args];
      try {
        return await dispatcher.send(keys[0], ['EVALSHA', script.sha, ...words], isWrite);
      } catch (error) {
        // A server that was started, or has failed over, since: this loads the script too.
        if (!(error instanceof RedisReplyError) || error.code !== 'NOSCRIPT') throw error;
        return dispatcher.send(keys[0], ['EVAL', script.source, ...words], isWrite);
      }
    });

  const isUp = () => {
    const nodes = routes.nodes();
    return nodes.length > 0 && nodes.every((node) => node.isReady);
  };

  return {
    command: (key, args) => timed('command', args[0], () => dispatcher.send(key, args, false)),
    run: (script, keys, args) => evaluate(script, keys, args, false),
    write: (script, keys, args) => evaluate(script, keys, args, true),
    publish: (channel, message) =>
      timed('publish', 'SPUBLISH', () => dispatcher.publish(channel, message)),
    subscribe(channel, events) {
      const beat = (message: string) => dispatcher.publish(channel, message);
      const subscription = subscribe(channel, events, routes, connection, beat);
      subscriptions.add(subscription);
      return {
        get isSubscribed() {
          return subscription.isSubscribed;
        },
        close() {
          subscription.close();
          subscriptions.delete(subscription);
        },
      };
    },
    async *scan(pattern) {
      for (const node of routes.nodes()) {
        let cursor = '0';
        do {
          count('SCAN');
          const command = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', '1000'];
          const [next, keys] = (await node.connection.send(command)) as [string, string[]];
          cursor = next;
          yield keys;
        } while (cursor !== '0');
      }
    },
    get isUp() {
      return isUp();
    },
    async ready(withinMs) {
      if (isUp()) return true;
      await new Promise<void>((resolve) => {
        const done = () => {
          clearTimeout(timer);
          listeners.delete(look);
          resolve();
        };
        const look = () => {
          if (isUp()) done();
        };
        const timer = setTimeout(done, withinMs);
        listeners.add(look);
      });
      return isUp();
    },
    onUp(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    get reconnects() {
      return reconnects;
    },
    counts,
    close() {
      for (const subscription of subscriptions) subscription.close();
      dispatcher.close();
      routes.close();
    },
  };
}

function routesTo(target: RedisTarget, options: ConnectionOptions, events: NodeEvents): Routes {
  switch (target.kind) {
    case 'single': {
      const [address] = target.hosts as [RedisAddress];
      return singleRoutes(async () => address, options, events);
    }
    case 'sentinel':
      return singleRoutes(askSentinels(target, options), options, events);
    case 'cluster':
      return clusterRoutes(target.hosts, options, events);
  }
}
