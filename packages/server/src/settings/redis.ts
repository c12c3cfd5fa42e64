// Declares the settings of cluster mode and parses REDIS_URL.
import { integer, text } from './kinds.js';

/** Spread into the schema of the configuration; docs/operations.md shows them. */
export const REDIS_SETTINGS = {
  redisUrl: text('REDIS_URL', {
    secret: true,
    description:
      'URL of the Redis 7 or Valkey that the nodes of a cluster share: `redis://user:password@host:6379/0`, or `rediss://` for TLS. Redis Cluster: `redis://a:6379,b:6379?cluster`. Sentinels: `redis://a:26379,b:26379?sentinel=mymaster`, with `&sentinelUser=…&sentinelPassword=…` if they require it. Turns the rooms API on; SQLite is then not used. Empty: one node, without Redis.',
  }),
  redisPrefix: text('REDIS_PREFIX', {
    default: 'couplet:',
    form: '[A-Za-z0-9:._-]{1,64}',
    description: 'Prefix of every key and channel in Redis. It must be the same on all nodes.',
  }),
  redisTimeoutMs: integer('REDIS_TIMEOUT_MS', [100, 60_000], {
    default: 2000,
    description:
      'Longest time that Redis may take for an answer, in milliseconds. Then the connection is closed, and requests that wait for it are answered 503.',
  }),
  redisReplicasAck: integer('REDIS_REPLICAS_ACK', [0, 10], {
    default: 0,
    description:
      'Replicas that must confirm a write before it is answered. With 1 and one replica, a failover loses no write that was answered. If too few replicas are connected, writes are answered 503.',
  }),
  leaseSeconds: integer('LEASE_SECONDS', [1, 300], {
    default: 10,
    description:
      'Lifetime of the lease of a node, in seconds. If a node does not renew its lease in time, its members count as disconnected, and their peers are notified. A node that was paused for longer claims its seats again.',
  }),
};

/** Returns the fault of REDIS_URL, or undefined. The value is a secret, so a fault does not quote it. */
export function redisUrlFault({ redisUrl }: { redisUrl: string }): string | undefined {
  const parsed = redisUrl === '' ? {} : parseRedisUrl(redisUrl);
  return 'fault' in parsed ? `REDIS_URL: the value given ${parsed.fault}` : undefined;
}

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisTarget {
  /** The single server, some servers of the Cluster, or the Sentinels. */
  readonly hosts: readonly [RedisAddress, ...RedisAddress[]];
  readonly tls: boolean;
  /** For the data servers, not for the Sentinels. */
  readonly credentials: RedisCredentials;
  readonly database: number;
  readonly isCluster: boolean;
  /** The name of the master in the configuration of the Sentinels, and what they require. */
  readonly sentinel?: { readonly master: string; readonly credentials: RedisCredentials };
}

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

const URL_PARTS = /^(rediss?):\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/(\d{0,5}))?\/?(?:\?([^#]*))?$/;

const OPTIONS = ['cluster', 'sentinel', 'sentinelUser', 'sentinelPassword'];

/** Parses `redis[s]://[user:password@]host[:port][,host[:port]…][/database][?cluster|?sentinel=name]`. */
export function parseRedisUrl(text: string): { target: RedisTarget } | { fault: string } {
  const parts = URL_PARTS.exec(text);
  if (parts === null) return { fault: 'must have the form redis://host:6379' };
  const [, scheme, userInfo = '', hostList = '', databaseText = '', query] = parts;
  const user = /^([^:]*):?(.*)$/.exec(userInfo)?.slice(1).map(decoded) ?? [];
  if (user.includes(undefined))
    return { fault: 'has a user or password that is not valid percent-encoding' };
  const options = new URLSearchParams(query);
  const isCluster = options.has('cluster');
  const master = options.get('sentinel');
  const defaultPort = master === null ? REDIS_PORT : SENTINEL_PORT;
  const hosts = hostList.split(',').map((host) => addressOf(host, defaultPort));
  const database = Number(databaseText);
  if ([...options.keys()].some((name) => !OPTIONS.includes(name)))
    return { fault: `has an unknown option; the options are ${OPTIONS.join(', ')}` };
  if (isCluster && master !== null) return { fault: 'cannot have both ?cluster and ?sentinel' };
  if (master === '') return { fault: 'needs the name of the master: ?sentinel=name' };
  if (hosts.includes(undefined)) return { fault: 'has an invalid host or port' };
  if (isCluster && database !== 0)
    return { fault: 'has a database other than 0, the only one of a Redis Cluster' };
  if (hosts.length > 1 && !isCluster && master === null)
    return { fault: 'has several hosts, so it needs ?cluster or ?sentinel=name' };
  const target = {
    hosts: hosts as [RedisAddress, ...RedisAddress[]],
    tls: scheme === 'rediss',
    credentials: credentialsOf(user[0], user[1]),
    database,
    isCluster,
  };
  if (master === null) return { target };
  const credentials = credentialsOf(options.get('sentinelUser'), options.get('sentinelPassword'));
  return { target: { ...target, sentinel: { master, credentials } } };
}

function addressOf(text: string, defaultPort: number): RedisAddress | undefined {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3] ?? defaultPort);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    // The error is dropped because its message quotes the value.
    return undefined;
  }
}

type RedisCredentials = Readonly<ReturnType<typeof credentialsOf>>;

const credentialsOf = (username?: string | null, password?: string | null) => ({
  ...(username && { username }),
  ...(password && { password }),
});
