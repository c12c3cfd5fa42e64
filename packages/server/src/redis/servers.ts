// Connects to one server, to the master that Sentinels name, or to a Redis Cluster. The only importer of ioredis.
import { isIP } from 'node:net';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { RedisAddress, RedisTarget } from '../settings/redis.js';

export type Connection = Redis;

/** A word of a command. */
export type RedisArgument = string | Buffer;

export type Command = readonly [string, ...RedisArgument[]];

/** Copies an error of ioredis without the command, because its arguments may be secrets (AUTH) or keys. */
export function withoutCommand(error: unknown): Error {
  const { name, message, code } = error as Error & { code?: string };
  const isLost = name === 'MaxRetriesPerRequestError';
  const text = isLost ? 'the connection to Redis was lost before the answer' : message || code;
  return Object.assign(new Error(text), { name, code });
}

/** The first word of an error reply, such as `OOM` or `MOVED`; empty for any other error. */
export const replyCodeOf = ({ name, message }: Error): string =>
  name === 'ReplyError' ? (message.split(' ', 1)[0] as string) : '';

/** Most unanswered commands on one connection; further ones are refused. */
const MAX_UNANSWERED = 50_000;

/**
 * Sends a command. All commands of one turn of the event loop are sent in one write, in order. Rejects with an error of
 * ioredis if there is no connection, if the server answers with an error, or if no answer comes in time.
 */
export async function send(over: Connection | undefined, [name, ...args]: Command) {
  if (over?.status !== 'ready') throw new Error('Redis is not connected');
  if (over.commandQueue.length >= MAX_UNANSWERED) throw new Error('too many commands await Redis');
  const { stream } = over;
  // Not once for each command: then the count would stay above zero while every turn sends commands.
  if (stream.writableCorked === 0) {
    stream.cork();
    setImmediate(() => stream.uncork());
  }
  return over.call(name, args);
}

/** The pause before an attempt, counted from 1. */
export const reconnectDelayMs = (attempt: number): number => Math.min(50 * attempt, 1000);

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
  /** A connection was created. It connects, and reconnects, by itself. */
  opened(connection: Connection): void;
  /** The masters of a Cluster were read. */
  refreshed(): void;
  /** A server is unreachable. */
  down(cause: unknown): void;
}

/** Options of a connection that its owner opens, and that ends with its first fault. */
export const ONCE = { lazyConnect: true, retryStrategy: null } as const;

type Options = RedisOptions & { replyMapping: 'resp3' };

export function openServers(target: RedisTarget, timeoutMs: number, events: ServerEvents) {
  const options: Options = {
    connectionName: 'couplet',
    disableClientInfo: true,
    replyMapping: 'resp3',
    connectTimeout: timeoutMs,
    // Closes a connection without answers, because later commands would wait behind earlier ones.
    socketTimeout: timeoutMs,
    // For a late answer while others arrive. Longer than `socketTimeout`, so a dead connection is no longer ready then.
    commandTimeout: timeoutMs + 50,
    disconnectTimeout: 100,
    // ioredis queues no command and sends none twice.
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // Period of checks of a server that loads its data, in milliseconds.
    maxLoadingRetryTime: 500,
  };
  return (target.isCluster ? openCluster : openMaster)(target, options, events);
}

/** Options by host, because ioredis has one set of TLS options for all. SNI allows no IP addresses (RFC 6066 §3). */
const optionsOf = ({ host, port }: RedisAddress, tls: boolean) => ({
  host,
  port,
  ...(tls && { tls: isIP(host) === 0 ? { servername: host } : {} }),
});

function openMaster(target: RedisTarget, options: Options, events: ServerEvents) {
  const { hosts, tls, credentials, database: db, sentinel } = target;
  let redis: Redis | undefined;
  let isClosed = false;
  let turn = 0;

  const connectTo = (address: RedisAddress) => {
    redis?.disconnect();
    redis = new Redis({
      ...options,
      ...credentials,
      ...optionsOf(address, tls),
      db,
      retryStrategy: reconnectDelayMs,
    });
    redis.on('error', events.down);
    events.opened(redis);
  };
  /** Asks the next Sentinel for the master, because the last one may be unreachable, or partitioned from the others. */
  const refresh = async () => {
    if (sentinel === undefined) return;
    const asked = new Redis({
      ...options,
      ...sentinel.credentials,
      ...optionsOf(hosts[turn++ % hosts.length] as RedisAddress, tls),
      ...ONCE,
      // Its user may have permission for nothing else.
      connectionName: '',
      enableReadyCheck: false,
    });
    asked.on('error', events.down);
    try {
      await asked.connect();
      const reply = await asked.call('SENTINEL', 'get-master-addr-by-name', sentinel.master);
      if (reply === null) throw new Error('the Sentinel has no master of this name');
      const [host, port] = reply as [string, string];
      const isKnown = redis?.options.host === host && redis.options.port === Number(port);
      if (!isKnown && !isClosed) connectTo({ host, port: Number(port) });
    } catch (error) {
      events.down(error);
    }
    asked.disconnect();
  };
  if (sentinel === undefined) connectTo(hosts[0]);
  else void refresh();
  return {
    of: () => redis,
    all: () => [redis],
    follow: () => Promise.reject(new Error('Redis is not a Cluster')),
    refresh: () => void refresh(),
    close() {
      isClosed = true;
      redis?.disconnect();
    },
  };
}

function openCluster(target: RedisTarget, options: Options, events: ServerEvents) {
  const { hosts, tls, credentials } = target;
  const cluster = new Cluster(
    hosts.map((address) => optionsOf(address, tls)),
    {
      redisOptions: { ...options, ...credentials },
      clusterRetryStrategy: reconnectDelayMs,
      // The check would wait for all masters, but the others must serve while one is unreachable.
      enableReadyCheck: false,
      // Nothing is sent twice.
      retryDelayOnFailover: 0,
      // Certificates are for names, so names must not be resolved before the check.
      dnsLookup: (host, done) => done(null, host),
      natMap(address) {
        const [, host = '', port] = /^(.*):(\d+)$/.exec(address) ?? [];
        return optionsOf({ host, port: Number(port) }, tls);
      },
    },
  );
  let masters = new Map<string | undefined, Redis>();
  /** The names of the masters of all slots; undefined for a slot without a master. */
  let owners = new Set<string | undefined>([undefined]);

  /** Connects to the present masters at once; ioredis would wait for the first command. */
  const adopt = () => {
    masters = new Map();
    for (const redis of cluster.nodes('master')) {
      masters.set(`${redis.options.host}:${redis.options.port}`, redis);
      if (redis.status !== 'wait') continue;
      events.opened(redis);
      redis.connect().catch(() => {});
    }
  };
  cluster.on('refresh', () => {
    const { slots } = cluster;
    owners = new Set(Array.from({ length: SLOTS }, (_, slot) => slots[slot]?.[0]));
    adopt();
    events.refreshed();
  });
  cluster.on('+node', adopt);
  cluster.on('-node', adopt);
  cluster.on('node error', events.down);
  cluster.on('error', events.down);
  return {
    /** The connection to the master that has a key, ready or not; undefined if no master is known. */
    of: (key: string): Connection | undefined => masters.get(cluster.slots[slotOf(key)]?.[0]),
    /** The connections to all masters, with undefined for slots without a known master. */
    all: () => Array.from(owners, (name) => masters.get(name)),
    /** Sends a command that includes its key to the server to which the Cluster redirects it. */
    async follow([name, ...args]: Command): Promise<unknown> {
      // Otherwise ioredis waits for a connection, without a time limit.
      if (cluster.status !== 'ready') throw new Error('Redis is not connected');
      return cluster.call(name, args);
    },
    /** Finds the masters again. */
    refresh() {
      if (cluster.status === 'ready') cluster.refreshSlotsCache(() => {});
    },
    close: () => cluster.disconnect(),
  };
}
