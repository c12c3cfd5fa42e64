// Provides Redis to the rest of the server: commands and scripts by key, and sharded channels.
//
// It is the same for a single server, Sentinels and a Cluster. Every call resolves within the timeout or rejects with
// `Unavailable`; a call that rejects may have been carried out.
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { setImmediate as endOfTurn } from 'node:timers/promises';
import { Unavailable } from '../base/failures.js';
import type { RedisTarget } from '../settings/redis.js';
import {
  type Command,
  type Connection,
  openServers,
  type RedisArgument,
  replyCodeOf,
  send,
  withoutCommand,
} from './servers.js';

export type Script = Readonly<ReturnType<typeof defineScript>>;

/**
 * `allow-oom`: the script runs even if memory is full, because it frees some. Without it, a full server refuses the
 * script before its first line, so no script is half done.
 */
export type ScriptFlag = 'allow-oom' | 'no-writes';

/** Defines a script; adds the first line, which declares its flags. */
export function defineScript(lua: string, flags: readonly ScriptFlag[] = []) {
  const source = `#!lua flags=${flags.join(',')}\n${lua.trim()}\n`;
  return { source, sha: createHash('sha1').update(source).digest('hex') };
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

/**
 * Why a connected server refuses operations. `memory` is full: those that need memory. The `disk` cannot be written, the
 * server is a replica (`read_only`), or has too few `replicas`: all writes. It is `loading` its data: all operations.
 */
const REFUSAL_CODES = {
  OOM: 'memory',
  MISCONF: 'disk',
  READONLY: 'read_only',
  NOREPLICAS: 'replicas',
  LOADING: 'loading',
} as const;

export type Refusal = (typeof REFUSAL_CODES)[keyof typeof REFUSAL_CODES];

export const REFUSALS: readonly Refusal[] = Object.values(REFUSAL_CODES);

/** Does nothing, but its flags let it need memory and write. */
const NOTHING = defineScript('return 1');

/** Error replies with which a Cluster redirects a command. */
const REDIRECTED = new Set(['MOVED', 'ASK', 'TRYAGAIN']);

/** Error replies that are bugs, not outages; NOSCRIPT is handled by the caller. */
const BUGS = new Set(['ERR', 'WRONGTYPE', 'CROSSSLOT', 'NOSCRIPT']);

/** Whether an operation was refused, without any effect, because Redis is full. */
export const isFull = (error: unknown): boolean =>
  error instanceof Unavailable && replyCodeOf(error.cause as Error) === 'OOM';

/** Period of searches for the masters while one is not connected, or has changed. */
const REFRESH_MS = 250;

export type Redis = ReturnType<typeof connectRedis>;

/** Connects, and reconnects until closed. */
export function connectRedis(target: RedisTarget, options: RedisOptions) {
  const { timeoutMs, replicasAck, observe = () => {}, onRefused = () => {} } = options;
  let { onDown = () => {} } = options;
  const changes = new EventEmitter().setMaxListeners(0);
  const waits = new Map<Connection | undefined, Promise<void>>();
  const wasUp = new Set<string>();
  let reconnects = 0;
  let operations = 0;
  /** A server may have answered that it is not the master any more. */
  let isOutdated = false;
  const servers = openServers(target, timeoutMs, {
    opened(connection) {
      const { host, port } = connection.options;
      connection.on('ready', () => {
        if (wasUp.has(`${host}:${port}`)) reconnects += 1;
        wasUp.add(`${host}:${port}`);
        changes.emit('up');
      });
      connection.on('close', () => {
        if (!servers.all().includes(connection)) return;
        onDown(new Error('the connection to Redis was closed'));
      });
    },
    refreshed: () => changes.emit('up'),
    down: (cause) => onDown(withoutCommand(cause)),
  });
  const isUp = () => servers.all().every((server) => server?.status === 'ready');
  const refreshing = setInterval(() => {
    if (isUp() && !isOutdated) return;
    isOutdated = false;
    servers.refresh();
  }, REFRESH_MS).unref();

  const timed = async <T>(operation: RedisOperation, work: () => Promise<T>) => {
    operations += 1;
    const start = performance.now();
    const result = await work();
    observe(operation, (performance.now() - start) / 1000);
    return result;
  };

  /** Throws an outage as {@link Unavailable}, and a bug as it is. */
  const judge = (error: unknown): never => {
    const cause = withoutCommand(error);
    const code = replyCodeOf(cause);
    if (BUGS.has(code)) throw cause;
    const refusal = REFUSAL_CODES[code as keyof typeof REFUSAL_CODES] as Refusal | undefined;
    if (refusal !== undefined) onRefused(refusal);
    // A master that is full, or whose disk is full, is still a master.
    isOutdated ||= code !== '' && refusal !== 'memory' && refusal !== 'disk';
    throw new Unavailable(cause, refusal !== undefined);
  };

  /** Resolves when enough replicas have this connection's writes of this turn. */
  const replicated = (over: Connection | undefined): Promise<void> => {
    // WAIT covers the writes of its own connection, and blocks it, so it is sent once per turn.
    const wait = async () => {
      await endOfTurn();
      waits.delete(over);
      const most = String(Math.ceil(timeoutMs / 2));
      if (Number(await send(over, ['WAIT', String(replicasAck), most])) >= replicasAck) return;
      isOutdated = true;
      throw new Error('too few replicas of Redis have the write');
    };
    const known = waits.get(over) ?? wait();
    waits.set(over, known);
    return known;
  };

  /** Sends a command to the server of the key, and follows redirections. */
  const sendTo = async (key: string, command: Command, isWrite: boolean): Promise<unknown> => {
    const mustWait = isWrite && replicasAck > 0;
    const over = servers.of(key);
    try {
      const reply = send(over, command);
      return mustWait ? (await Promise.all([reply, replicated(over)]))[0] : await reply;
    } catch (error) {
      if (!REDIRECTED.has(replyCodeOf(error as Error))) throw error;
      isOutdated = true;
      const reply = await servers.follow(command);
      // The connection that the command used is unknown.
      if (mustWait) await Promise.all(servers.all().map(replicated));
      return reply;
    }
  };

  const evaluate =
    (isWrite: boolean) =>
    (script: Script, keys: Keys, args: readonly RedisArgument[]): Promise<unknown> =>
      timed('script', async () => {
        const words = [String(keys.length), ...keys, ...args];
        try {
          return await sendTo(keys[0], ['EVALSHA', script.sha, ...words], isWrite);
        } catch (error) {
          // The server has started or become master since. EVAL also loads the script.
          if (replyCodeOf(error as Error) !== 'NOSCRIPT') return judge(error);
          return sendTo(keys[0], ['EVAL', script.source, ...words], isWrite).catch(judge);
        }
      });

  return {
    /** Runs a command on the server of `key`; `args` include the key if the command takes it. */
    command: (key: string, args: Command): Promise<unknown> =>
      timed('command', () => sendTo(key, args, false).catch(judge)),

    run: evaluate(false),

    /** Runs a script, and resolves when REDIS_REPLICAS_ACK replicas have its writes. */
    write: evaluate(true),

    /**
     * Publishes to a sharded channel, and resolves to the number of its subscribers. Messages to one channel keep their
     * order, because none is sent again.
     */
    publish: (channel: string, message: string): Promise<number> =>
      timed('publish', async () =>
        Number(await send(servers.of(channel), ['SPUBLISH', channel, message]).catch(judge)),
      ),

    /** The matching keys, in portions. A key that exists during the whole scan is returned at least once. */
    async *scan(pattern: string): AsyncGenerator<string[]> {
      for (const master of servers.all()) {
        let cursor = '0';
        do {
          operations += 1;
          const command: Command = ['SCAN', cursor, 'MATCH', pattern, 'COUNT', '1000'];
          const reply = await send(master, command).catch(judge);
          const [next, keys] = reply as [string, string[]];
          cursor = next;
          yield keys;
        } while (cursor !== '0');
      }
    },

    /** Asks every server whether it refuses a script that needs memory and writes, and reports refusals to `onRefused`. */
    async probe(): Promise<void> {
      const ask = async (server: Connection | undefined) => {
        try {
          await send(server, ['EVAL', NOTHING.source, '0']).catch(judge);
        } catch (error) {
          if (!(error instanceof Unavailable && error.isReported)) throw error;
        }
      };
      await Promise.all(servers.all().map(ask));
    },

    /** Whether every server that holds data is connected. */
    isUp,

    /** Resolves to `isUp`, when it is true or after this time. */
    async ready(withinMs: number): Promise<boolean> {
      const signal = AbortSignal.timeout(withinMs);
      while (!isUp() && !signal.aborted) {
        await once(changes, 'up', { signal }).catch(() => {});
      }
      return isUp();
    },

    /** Calls `listener` when a server is connected, including again. */
    onUp: (listener: () => void) => void changes.on('up', listener),

    /** Number of reconnections. */
    reconnects: () => reconnects,

    /** Number of commands, scripts and publications, without the commands of the connections themselves. */
    operations: () => operations,

    /** For this folder only: its calls are not counted, and its errors are those of ioredis. */
    servers,

    close(): void {
      onDown = () => {};
      clearInterval(refreshing);
      servers.close();
    },
  };
}
