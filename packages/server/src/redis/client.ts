// Provides Redis to the rest of the server: commands and scripts by key, and sharded channels.
//
// It is the same for a single server, Sentinels and a Cluster. Every call resolves within the timeout or rejects with
// `Unavailable`; a call that rejects may have been carried out.
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { Unavailable } from '../base/failures.js';
import type { RedisTarget } from '../settings/redis.js';
import {
  type Command,
  type Connection,
  openServers,
  type RedisArgument,
  RedisReplyError,
  send,
} from './servers.js';
import { type Subscription, type SubscriptionEvents, subscribe } from './subscription.js';

export { type RedisArgument, RedisReplyError } from './servers.js';
export type { Subscription, SubscriptionEvents } from './subscription.js';

export interface Script {
  /** Its name in counts. */
  readonly name: string;
  readonly source: string;
  readonly sha: string;
}

/**
 * `allow-oom`: the script runs even if memory is full, because it frees some. Without it, a full server refuses the
 * script before its first line, so no script is half done.
 */
export type ScriptFlag = 'allow-oom' | 'no-writes';

/** Defines a script; adds the first line, which declares its flags. */
export function defineScript(name: string, lua: string, flags: readonly ScriptFlag[] = []): Script {
  const source = `#!lua flags=${flags.join(',')}\n${lua.trim()}\n`;
  return { name, source, sha: createHash('sha1').update(source).digest('hex') };
}

export const REDIS_OPERATIONS = ['command', 'script', 'publish'] as const;
export type RedisOperation = (typeof REDIS_OPERATIONS)[number];

export interface RedisOptions {
  readonly timeoutMs: number;
  /** Replicas that must have a write before it counts as done. */
  readonly replicasAck: number;
  /** Called for every answered operation. */
  readonly observe?: (operation: RedisOperation, seconds: number) => void;
  /** Called when a server is lost or unreachable. */
  readonly onDown?: (cause: unknown) => void;
  /** Called when a connected server has refused an operation. */
  readonly onRefused?: (cause: Refusal) => void;
}

/** All keys of an operation are in the slot of the first. */
export type Keys = readonly [string, ...string[]];

export interface Redis {
  /** Runs a command on the server of `key`; `args` include the key if the command takes it. */
  command(key: string, args: Command): Promise<unknown>;
  run(script: Script, keys: Keys, args: readonly RedisArgument[]): Promise<unknown>;
  /** Runs a script, and resolves when REDIS_REPLICAS_ACK replicas have its writes. */
  write(script: Script, keys: Keys, args: readonly RedisArgument[]): Promise<unknown>;
  /**
   * Publishes to a sharded channel, and resolves to the number of its subscribers. Messages to one channel keep their
   * order, because none is sent again.
   */
  publish(channel: string, message: string): Promise<number>;
  subscribe(channel: string, events: SubscriptionEvents): Subscription;
  /** The matching keys, in portions. A key that exists during the whole scan is returned at least once. */
  scan(pattern: string): AsyncGenerator<string[]>;
  /** Asks every server whether it would refuse a script that needs memory and writes; resolves to the causes. */
  refusals(): Promise<ReadonlySet<Refusal>>;
  /** Whether every server that holds data is connected. */
  readonly isUp: boolean;
  /** Resolves to `isUp`, when it is true or after this time. */
  ready(withinMs: number): Promise<boolean>;
  /** Calls `listener` when a server is connected, including again. Returns the function that removes it. */
  onUp(listener: () => void): () => void;
  /** Number of reconnections. */
  readonly reconnects: number;
  /** Number of calls by name of the command or script, without the commands of the connections themselves. */
  readonly counts: ReadonlyMap<string, number>;
  close(): void;
}

/** Error replies of a server that is not, or not fully, the master of the data. */
const ELSEWHERE = new Set(['READONLY', 'MASTERDOWN', 'CLUSTERDOWN', 'NOREPLICAS', 'UNBLOCKED']);

/**
 * Why a connected server refuses operations. `memory` is full: those that need memory. The `disk` cannot be written, the
 * server is a replica (`read_only`), or has too few `replicas`: all writes. It is `loading` its data: all operations.
 */
export const REFUSALS = ['memory', 'disk', 'read_only', 'replicas', 'loading'] as const;

export type Refusal = (typeof REFUSALS)[number];

const refusalCodes: Readonly<Record<string, Refusal | undefined>> = {
  OOM: 'memory',
  MISCONF: 'disk',
  READONLY: 'read_only',
  NOREPLICAS: 'replicas',
  LOADING: 'loading',
};

/** Does nothing, but its flags let it need memory and write. */
const NOTHING = defineScript('nothing', 'return 1');

/** Error replies with which a Cluster redirects a command. */
const REDIRECTED = new Set(['MOVED', 'ASK', 'TRYAGAIN']);

/** Error replies that are bugs, not outages; NOSCRIPT is handled by the caller. */
const BUGS = new Set(['ERR', 'WRONGTYPE', 'CROSSSLOT', 'NOSCRIPT']);

/** Whether an operation was refused, without any effect, because Redis is full. */
export const isFull = (error: unknown): boolean =>
  error instanceof Unavailable && (error.cause as Partial<RedisReplyError>).code === 'OOM';

/** Connects, and reconnects until closed. */
export function connectRedis(target: RedisTarget, options: RedisOptions): Redis {
  const { timeoutMs, replicasAck, observe = () => {}, onDown = () => {} } = options;
  const { onRefused = () => {} } = options;
  const changes = new EventEmitter().setMaxListeners(0);
  const subscriptions = new Set<Subscription>();
  const counts = new Map<string, number>();
  const waits = new WeakMap<Connection, Promise<void>>();
  let reconnects = 0;
  const servers = openServers(target, timeoutMs, {
    up(isAgain) {
      if (isAgain) reconnects += 1;
      changes.emit('up');
    },
    down: onDown,
  });

  const count = (name: string) => counts.set(name, (counts.get(name) ?? 0) + 1);

  const timed = async <T>(operation: RedisOperation, name: string, work: () => Promise<T>) => {
    count(name);
    const start = performance.now();
    const result = await work();
    observe(operation, (performance.now() - start) / 1000);
    return result;
  };

  /** Resolves when enough replicas have this connection's writes of this turn. */
  const replicated = (over: Connection): Promise<void> => {
    const known = waits.get(over);
    if (known !== undefined) return known;
    // WAIT covers the writes of its own connection, and blocks it, so it is sent once per turn.
    const wait = new Promise<unknown>((resolve, reject) => {
      setImmediate(() => {
        waits.delete(over);
        const most = String(Math.ceil(timeoutMs / 2));
        send(over, ['WAIT', String(replicasAck), most]).then(resolve, reject);
      });
    }).then((replicas) => {
      if ((replicas as number) >= replicasAck) return;
      servers.recheck();
      throw new Unavailable(new Error('too few replicas of Redis have the write'));
    });
    waits.set(over, wait);
    return wait;
  };

  const judged = (error: unknown): unknown => {
    if (!(error instanceof RedisReplyError)) return error;
    if (ELSEWHERE.has(error.code) || REDIRECTED.has(error.code)) servers.recheck();
    const refusal = refusalCodes[error.code];
    if (refusal !== undefined) onRefused(refusal);
    return BUGS.has(error.code) ? error : new Unavailable(error, refusal !== undefined);
  };

  /** Sends a command to the server of the key, and follows redirections. */
  const sendTo = async (key: string, command: Command, isWrite: boolean): Promise<unknown> => {
    const mustWait = isWrite && replicasAck > 0;
    const over = servers.of(key);
    try {
      const reply = send(over, command);
      return mustWait ? (await Promise.all([reply, replicated(over)]))[0] : await reply;
    } catch (error) {
      if (!(error instanceof RedisReplyError && REDIRECTED.has(error.code))) throw judged(error);
    }
    try {
      const reply = await servers.follow(command);
      // The connection that the command used is unknown.
      if (mustWait) await Promise.all(servers.all().map(replicated));
      return reply;
    } catch (error) {
      throw judged(error);
    }
  };

  /** Publishes once, without redirections: the next message could overtake one that is sent again. */
  const publish = async (channel: string, message: string): Promise<number> => {
    try {
      return (await send(servers.of(channel), ['SPUBLISH', channel, message])) as number;
    } catch (error) {
      throw judged(error);
    }
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
        return await sendTo(keys[0], ['EVALSHA', script.sha, ...words], isWrite);
      } catch (error) {
        // The server has started or become master since. EVAL also loads the script.
        if (!(error instanceof RedisReplyError) || error.code !== 'NOSCRIPT') throw error;
        return sendTo(keys[0], ['EVAL', script.source, ...words], isWrite);
      }
    });

  return {
    command: (key, args) => timed('command', args[0], () => sendTo(key, args, false)),
    run: (script, keys, args) => evaluate(script, keys, args, false),
    write: (script, keys, args) => evaluate(script, keys, args, true),
    publish: (channel, message) => timed('publish', 'SPUBLISH', () => publish(channel, message)),
    subscribe(channel, events) {
      const beat = (message: string) => publish(channel, message);
      const subscription = subscribe(channel, events, servers, timeoutMs, beat);
      subscriptions.add(subscription);
      return subscription;
    },
    async *scan(pattern) {
      for (const master of servers.all()) {
        let cursor = '0';
        do {
          count('SCAN');
          const command: Command = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', '1000'];
          const [next, keys] = (await send(master, command)) as [string, string[]];
          cursor = next;
          yield keys;
        } while (cursor !== '0');
      }
    },
    async refusals() {
      const found = new Set<Refusal>();
      const ask = async (server: Connection) => {
        try {
          await send(server, ['EVAL', NOTHING.source, '0']);
        } catch (error) {
          const refusal = error instanceof RedisReplyError ? refusalCodes[error.code] : undefined;
          if (refusal === undefined) throw judged(error);
          found.add(refusal);
        }
      };
      await Promise.all(servers.all().map(ask));
      return found;
    },
    get isUp() {
      return servers.isUp;
    },
    async ready(withinMs) {
      const signal = AbortSignal.timeout(withinMs);
      while (!servers.isUp && !signal.aborted) {
        await once(changes, 'up', { signal }).catch(() => {});
      }
      return servers.isUp;
    },
    onUp(listener) {
      changes.on('up', listener);
      return () => changes.off('up', listener);
    },
    get reconnects() {
      return reconnects;
    },
    counts,
    close() {
      for (const subscription of subscriptions) subscription.close();
      servers.close();
    },
  };
}
