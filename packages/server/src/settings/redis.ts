// Settings of the cluster mode: where Redis is, and how it is used.
import { Type } from '@couplet/protocol/typebox';
import { type CrossCheck, crossCheckOf } from './cross-check.js';

/** Spread into the schema of the configuration; docs/operations.md shows them. */
export const REDIS_SETTINGS = {
  redisUrl: Type.String({
    env: 'REDIS_URL',
    default: '',
    secret: true,
    description:
      'Redis 7 or Valkey for many nodes that are one server: `redis://user:password@host:6379/0`, `rediss://` for TLS. `redis://a:6379,b:6379?cluster` for a Redis Cluster, `redis://a:26379,b:26379?sentinel=mymaster` for Sentinels (`&sentinelUser=…&sentinelPassword=…` where they want that). Turns the rooms API on; SQLite is then not used. Empty: one node, without Redis.',
  }),
  redisPrefix: Type.String({
    env: 'REDIS_PREFIX',
    default: 'couplet:',
    pattern: '^[A-Za-z0-9:._-]{1,64}$',
    description: 'What every key and channel in Redis begins with; the same for all nodes.',
  }),
  redisTimeoutMs: Type.Integer({
    env: 'REDIS_TIMEOUT_MS',
    default: 2000,
    minimum: 100,
    maximum: 60_000,
    description:
      'Longest time that Redis may take for an answer, in milliseconds; the connection is then given up, and what waits for it is answered 503.',
  }),
  redisReplicasAck: Type.Integer({
    env: 'REDIS_REPLICAS_ACK',
    default: 0,
    minimum: 0,
    maximum: 10,
    description:
      'Replicas that must have a write before it is answered. With 1, and one replica, a failover loses nothing that was answered; without replicas, writes are then answered 503.',
  }),
  leaseSeconds: Type.Integer({
    env: 'LEASE_SECONDS',
    default: 10,
    minimum: 1,
    maximum: 300,
    description:
      'How long a node that is silent still counts as alive, in seconds; then its members are gone, and their peers are told. A node that was paused for longer claims its seats anew.',
  }),
};

/** Reads REDIS_URL, which is a secret and never quoted. */
export const REDIS_CHECKS: readonly CrossCheck[] = [
  crossCheckOf<{ redisUrl: string }>()(['redisUrl'], ({ redisUrl }) => {
    const parsed = redisUrl === '' ? {} : parseRedisUrl(redisUrl);
    return 'fault' in parsed ? `REDIS_URL: the value given ${parsed.fault}` : undefined;
  }),
];

interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

interface RedisCredentials {
  readonly username?: string;
  readonly password?: string;
}

interface Common {
  /** Any of the servers of a cluster, the Sentinels, or the one server. */
  readonly hosts: readonly RedisAddress[];
  readonly tls: boolean;
  /** For the servers that hold data. */
  readonly credentials: RedisCredentials;
}

export type RedisTarget =
  | (Common & { readonly kind: 'single'; readonly database: number })
  | (Common & {
      readonly kind: 'sentinel';
      readonly database: number;
      /** The name under which the Sentinels know the master. */
      readonly master: string;
      readonly sentinelCredentials: RedisCredentials;
    })
  | (Common & { readonly kind: 'cluster' });

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

const URL_PARTS = /^(rediss?):\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/(\d{0,5}))?\/?(?:\?([^#]*))?$/;

/** Reads `redis[s]://[user:password@]host[:port][,host[:port]…][/database][?cluster|?sentinel=name]`. */
export function parseRedisUrl(text: string): { target: RedisTarget } | { fault: string } {
  const parts = URL_PARTS.exec(text);
  if (parts === null) return { fault: 'must look like redis://host:6379' };
  const [, scheme, userInfo, hostList = '', databaseText = '', query] = parts;
  const credentials = credentialsOf(userInfo);
  if (credentials === undefined) return { fault: 'has user or password wrongly percent-encoded' };
  const options = new URLSearchParams(query);
  const known = ['cluster', 'sentinel', 'sentinelUser', 'sentinelPassword'];
  const unknown = [...options.keys()].some((name) => !known.includes(name));
  if (unknown) return { fault: `has an option that is none of ${known.join(', ')}` };
  const isCluster = options.has('cluster');
  const master = options.get('sentinel');
  if (isCluster && master !== null) return { fault: 'cannot be both ?cluster and ?sentinel' };
  const hosts = hostList
    .split(',')
    .map((host) => addressOf(host, master === null ? REDIS_PORT : SENTINEL_PORT));
  if (hosts.includes(undefined)) return { fault: 'has a host that is none, or a wrong port' };
  const common = { hosts: hosts as RedisAddress[], tls: scheme === 'rediss', credentials };
  const database = Number(databaseText);
  if (isCluster) {
    if (database !== 0) return { fault: 'has a database, of which a cluster has only 0' };
    return { target: { kind: 'cluster', ...common } };
  }
  if (master !== null) {
    if (master === '') return { fault: 'needs the name of the master: ?sentinel=name' };
    const sentinelCredentials = present({
      username: options.get('sentinelUser') ?? '',
      password: options.get('sentinelPassword') ?? '',
    });
    return { target: { kind: 'sentinel', ...common, database, master, sentinelCredentials } };
  }
  if (hosts.length > 1) return { fault: 'has several hosts, so needs ?cluster or ?sentinel=name' };
  return { target: { kind: 'single', ...common, database } };
}

function addressOf(text: string, defaultPort: number): RedisAddress | undefined {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3] ?? defaultPort);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

function credentialsOf(userInfo: string | undefined): RedisCredentials | undefined {
  if (userInfo === undefined) return {};
  const colon = userInfo.indexOf(':');
  const [username, password] =
    colon === -1 ? [userInfo, ''] : [userInfo.slice(0, colon), userInfo.slice(colon + 1)];
  try {
    return present({
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
    });
  } catch {
    // The message of the error would quote the value.
    return undefined;
  }
}

const present = (credentials: RedisCredentials): RedisCredentials =>
  Object.fromEntries(Object.entries(credentials).filter(([, value]) => value !== ''));
