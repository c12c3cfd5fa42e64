// Connects to one server, to the master that Sentinels name, or to a Redis Cluster. The only importer of ioredis.
import { isIP } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Cluster, Redis, type RedisOptions, SentinelConnector } from 'ioredis';
import { Unavailable } from '../base/failures.js';
import type { RedisTarget } from '../settings/redis.js';

export type Connection = Redis;

/** A word of a command. */
export type RedisArgument = string | Buffer;

export type Command = readonly [string, ...RedisArgument[]];

/** Most unanswered commands on one connection; further ones are refused. */
const MAX_UNANSWERED = 50_000;

/** An error reply of a server; usually the command had no effect. */
export class RedisReplyError extends Error {
  /** First word of the error: `OOM`, `MOVED`, `NOSCRIPT`. */
  readonly code: string;
  constructor(message: string) {
    super(message);
    this.name = 'RedisReplyError';
    this.code = message.split(' ', 1)[0] as string;
  }
}

/** Removes the command from an error of ioredis, because its arguments may be secrets (AUTH) or keys. */
export function withoutCommand(error: unknown): Error {
  const { message = String(error), code } = error as { message?: string; code?: string };
  return Object.assign(new Error(message || code), code === undefined ? {} : { code });
}

/** Converts a rejection of ioredis into {@link RedisReplyError} or {@link Unavailable}. */
export function rejected(error: unknown): never {
  const { name, message } = error as Error;
  if (name === 'ReplyError') throw new RedisReplyError(message);
  if (name === 'MaxRetriesPerRequestError') {
    throw new Unavailable(new Error('the connection to Redis was lost before the answer'));
  }
  throw new Unavailable(withoutCommand(error));
}

const corked = new WeakSet<object>();

/**
 * Sends a command. All commands of one turn of the event loop are sent in one write, in order.
 *
 * @throws RedisReplyError if the server answers with an error
 * @throws Unavailable if there is no connection, or no answer in time: the command may have been run
 */
export async function send(over: Connection, [name, ...args]: Command): Promise<unknown> {
  if (over.status !== 'ready') throw new Unavailable(new Error('Redis is not connected'));
  if (over.commandQueue.length >= MAX_UNANSWERED) {
    throw new Unavailable(new Error('too many commands await Redis'));
  }
  const { stream } = over;
  if (!corked.has(stream)) {
    corked.add(stream);
    stream.cork();
    setImmediate(() => {
      corked.delete(stream);
      stream.uncork();
    });
  }
  return over.call(name, args).catch(rejected);
}

const FIRST_DELAY_MS = 50;
const LONGEST_DELAY_MS = 1000;

/** The pause before an attempt, counted from 0. It doubles, and is random so nodes do not reconnect at once. */
export function reconnectDelayMs(attempt: number, random = Math.random()): number {
  const longest = Math.min(FIRST_DELAY_MS * 2 ** Math.min(attempt, 10), LONGEST_DELAY_MS);
  return longest * (0.25 + 0.75 * random);
}

export const SLOTS = 16_384;

/** The slot of a key or a sharded channel: CRC16 (XMODEM) of its hash tag. Redis Cluster specification, "Key distribution model". */
export function slotOf(key: string): number {
  const open = key.indexOf('{');
  const close = open === -1 ? -1 : key.indexOf('}', open + 1);
  const tag = close > open + 1 ? key.slice(open + 1, close) : key;
  let crc = 0;
  for (const byte of Buffer.from(tag)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = (crc << 1) ^ (crc & 0x8000 ? 0x11021 : 0);
  }
  return crc % SLOTS;
}

export interface ServerEvents {
  up(isAgain: boolean): void;
  /** A server is lost or unreachable. */
  down(cause: Error): void;
}

export interface Servers {
  /**
   * The connection to the master that has a key.
   *
   * @throws Unavailable if it is not connected
   */
  of(key: string): Connection;
  /**
   * The connections to all masters.
   *
   * @throws Unavailable if one is not connected
   */
  all(): Connection[];
  readonly isUp: boolean;
  /** Sends a command that includes its key to the server to which the Cluster redirects it. */
  follow(command: Command): Promise<unknown>;
  /** Names the server of a connection. */
  endpointOf(connection: Connection): string;
  /** Finds the masters again, after a server answered that it is the wrong one. */
  recheck(): void;
  close(): void;
}

/** Period of reads of the slot map while a master of the Cluster is not connected. */
const RECHECK_MS = 250;

const ignore = () => {};

const notConnected = () => new Unavailable(new Error('Redis is not connected'));

type CommonOptions = RedisOptions & { replyMapping: 'resp3' };

export function openServers(target: RedisTarget, timeoutMs: number, events: ServerEvents): Servers {
  const options: CommonOptions = {
    ...target.credentials,
    db: target.kind === 'cluster' ? 0 : target.database,
    connectionName: 'couplet',
    disableClientInfo: true,
    replyMapping: 'resp3',
    connectTimeout: timeoutMs,
    // Closes a connection without answers, because later commands would wait behind earlier ones.
    socketTimeout: timeoutMs,
    // For a late answer while others arrive. Longer than `socketTimeout`, so a dead connection is no longer ready then.
    commandTimeout: timeoutMs + 50,
    disconnectTimeout: 100,
    // Nothing is queued or sent twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Period of checks of a server that loads its data, in milliseconds.
    maxLoadingRetryTime: 500,
    autoResubscribe: false,
  };
  return target.kind === 'cluster'
    ? openCluster(target, options, timeoutMs, events)
    : openMaster(target, options, timeoutMs, events);
}

/** Reports the events of a connection; `wasUp` has the names of servers with earlier connections. */
function observe(
  redis: Redis,
  name: string,
  wasUp: Set<string>,
  events: ServerEvents,
  isWanted: () => boolean,
): void {
  redis.on('error', (cause) => events.down(withoutCommand(cause)));
  redis.on('close', () => {
    if (isWanted()) events.down(new Error('the connection to Redis was closed'));
  });
  redis.on('ready', () => {
    const isAgain = wasUp.has(name);
    wasUp.add(name);
    events.up(isAgain);
  });
}

/** TLS options for one host. SNI allows no IP addresses (RFC 6066 §3). */
const tlsFor = (host: string) => (isIP(host) === 0 ? { servername: host } : {});

/** Adds TLS options to an address from a Sentinel or a Cluster, because ioredis has one set for all hosts. */
const secured = (address: string) => {
  const [, host = '', port] = /^(.*):(\d+)$/.exec(address) ?? [];
  return { host, port: Number(port), tls: tlsFor(host), ...tlsFor(host) };
};

/** Adds TLS options to the addresses of the Sentinels. */
class SecuredSentinelConnector extends SentinelConnector {
  constructor(options: ConstructorParameters<typeof SentinelConnector>[0]) {
    super(options);
    // The declarations mark this method as private.
    const self = this as unknown as {
      connectToSentinel(endpoint: { host: string }, options?: object): unknown;
    };
    const connect = self.connectToSentinel.bind(this);
    self.connectToSentinel = (endpoint, more) =>
      connect(endpoint, { ...more, tls: tlsFor(endpoint.host) });
  }
}

function openMaster(
  target: Exclude<RedisTarget, { kind: 'cluster' }>,
  options: CommonOptions,
  timeoutMs: number,
  events: ServerEvents,
): Servers {
  const retry = (times: number) => reconnectDelayMs(times - 1);
  const [first] = target.hosts as [{ host: string; port: number }];
  const isWatched = target.kind === 'sentinel';
  const all: CommonOptions = {
    ...options,
    retryStrategy: retry,
    ...(isWatched
      ? {
          sentinels: [...target.hosts],
          name: target.master,
          sentinelUsername: target.sentinelCredentials.username as string,
          sentinelPassword: target.sentinelCredentials.password as string,
          sentinelCommandTimeout: timeoutMs,
          sentinelRetryStrategy: retry,
          // Sentinels may announce others by addresses that this node cannot reach.
          updateSentinels: false,
          failoverDetector: false,
          ...(target.tls && {
            enableTLSForSentinelMode: true,
            tls: {},
            Connector: SecuredSentinelConnector as unknown as RedisOptions['Connector'],
            natMap: secured,
          }),
        }
      : { ...first, ...(target.tls && { tls: tlsFor(first.host) }) }),
  };
  const redis = new Redis(all);
  let isClosed = false;
  observe(redis, '', new Set(), events, () => !isClosed);
  const connected = () => {
    if (redis.status !== 'ready') throw notConnected();
    return redis;
  };
  const endpointOf = ({ options: { host, port }, stream }: Connection) =>
    isWatched ? `${stream?.remoteAddress}:${stream?.remotePort}` : `${host}:${port}`;
  let isChecking = false;
  /** Closes the connection if the Sentinels now name another master. */
  const recheck = async () => {
    if (!isWatched || isChecking || redis.status !== 'ready') return;
    isChecking = true;
    const other = redis.duplicate({ ...ONCE, sentinelRetryStrategy: () => null });
    other.on('error', ignore);
    try {
      await other.connect();
      if (endpointOf(other) !== endpointOf(redis)) redis.disconnect(true);
    } catch {
      // Without an answer, the connection stays, and the next fault starts another check.
    }
    other.disconnect();
    isChecking = false;
  };
  return {
    of: connected,
    all: () => [connected()],
    get isUp() {
      return redis.status === 'ready';
    },
    follow: () => Promise.reject(notConnected()),
    endpointOf,
    recheck: () => void recheck(),
    close() {
      isClosed = true;
      redis.disconnect();
    },
  };
}

/** Options of a connection that its owner opens, and that ends with its first fault. */
export const ONCE = { lazyConnect: true, retryStrategy: null } as const;

function openCluster(
  target: Extract<RedisTarget, { kind: 'cluster' }>,
  options: CommonOptions,
  timeoutMs: number,
  events: ServerEvents,
): Servers {
  const endpointOf = ({ options: { host, port } }: Connection) => `${host}:${port}`;
  const seeds = target.hosts.map(({ host, port }) => ({
    host,
    port,
    ...(target.tls && { tls: tlsFor(host) }),
  }));
  const cluster = new Cluster(seeds, {
    redisOptions: options,
    clusterRetryStrategy: (times) => reconnectDelayMs(times - 1),
    slotsRefreshTimeout: Math.min(timeoutMs, 1000),
    // The check would wait for all masters, but the others must serve while one is unreachable.
    enableReadyCheck: false,
    // Only `follow` uses the Cluster object for commands, with a timeout. It does not wait for slots without a master.
    enableOfflineQueue: true,
    retryDelayOnFailover: 0,
    retryDelayOnClusterDown: 0,
    retryDelayOnTryAgain: 50,
    // Certificates are for names, so names must not be resolved before the check.
    dnsLookup: (host, done) => done(null, host),
    ...(target.tls && { natMap: secured }),
  });
  let masters = new Map<string, Redis>();
  /** The masters of all slots; undefined for a slot without a master. */
  let owners = new Set<string | undefined>([undefined]);
  const observed = new WeakSet<Redis>();
  const wasUp = new Set<string>();
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const isConnected = (name: string | undefined) =>
    name !== undefined && masters.get(name)?.status === 'ready';
  const isUp = () => [...owners].every(isConnected);

  /** Connects to the present masters at once; ioredis would wait for the first command. */
  const adopt = () => {
    masters = new Map(cluster.nodes('master').map((redis) => [endpointOf(redis), redis]));
    for (const [name, redis] of masters) {
      const isWanted = () => !isClosed && masters.get(name) === redis;
      if (!observed.has(redis)) observe(redis, name, wasUp, events, isWanted);
      observed.add(redis);
      if (redis.status === 'wait' && !isClosed) redis.connect().catch(ignore);
    }
  };
  const recheck = () => {
    if (timer !== undefined || isClosed) return;
    if (cluster.status === 'ready') cluster.refreshSlotsCache(ignore);
    settle();
  };
  /** Reads the slot map regularly until every slot has a connected master. */
  const settle = () => {
    if (isClosed) return;
    timer ??= setTimeout(() => {
      timer = undefined;
      if (!isUp()) recheck();
    }, RECHECK_MS);
  };
  cluster.on('refresh', () => {
    const { slots } = cluster;
    const wasComplete = isUp();
    owners = new Set(Array.from({ length: SLOTS }, (_, slot) => slots[slot]?.[0]));
    adopt();
    // The connections may be older than the slot map.
    if (!wasComplete && isUp()) events.up(false);
    if (!isUp()) settle();
  });
  cluster.on('+node', adopt);
  cluster.on('-node', () => {
    adopt();
    recheck();
  });
  cluster.on('node error', (cause) => events.down(withoutCommand(cause)));
  cluster.on('error', (cause) => events.down(withoutCommand(cause)));

  const connected = (name: string | undefined) => {
    const redis = masters.get(name ?? '');
    if (redis?.status !== 'ready') throw notConnected();
    return redis;
  };
  return {
    of: (key) => connected(cluster.slots[slotOf(key)]?.[0]),
    all: () => [...owners].map(connected),
    get isUp() {
      return isUp();
    },
    async follow([name, ...args]) {
      const late = delay(timeoutMs, undefined, { ref: false }).then(() => {
        throw new Error('Redis did not answer in time');
      });
      return Promise.race([cluster.call(name, args), late]).catch(rejected);
    },
    endpointOf,
    recheck,
    close() {
      isClosed = true;
      clearTimeout(timer);
      cluster.disconnect();
    },
  };
}
