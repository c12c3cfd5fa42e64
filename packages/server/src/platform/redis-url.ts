// REDIS_URL → where Redis is: one server, Sentinels that name one, or a Redis Cluster. Pure; no fault quotes the value.

export interface RedisAddress {
  readonly host: string;
  readonly port: number;
}

export interface RedisCredentials {
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

export type ParsedRedisUrl = { target: RedisTarget } | { fault: string };

const REDIS_PORT = 6379;
const SENTINEL_PORT = 26_379;

const URL_PARTS = /^(rediss?):\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/(\d{0,5}))?\/?(?:\?([^#]*))?$/;

/** Reads `redis[s]://[user:password@]host[:port][,host[:port]…][/database][?cluster|?sentinel=name]`. */
export function parseRedisUrl(text: string): ParsedRedisUrl {
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

/** `host:port`, and `[host]:port` for IPv6. */
export const addressText = ({ host, port }: RedisAddress): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;

function addressOf(text: string, defaultPort: number): RedisAddress | undefined {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3] ?? defaultPort);
  return host === undefined || port < 1 || port > 65_535 ? undefined : { host, port };
}

function credentialsOf(userInfo: string | undefined): RedisCredentials | undefined {
  if (userInfo === undefined) return {};
  const colon = userInfo.indexOf(':');
  try {
    const [username, password] =
      colon === -1 ? [userInfo, ''] : [userInfo.slice(0, colon), userInfo.slice(colon + 1)];
    return present({
      username: decodeURIComponent(username),
      password: decodeURIComponent(password),
    });
  } catch {
    // What decodeURIComponent says would quote it.
    return undefined;
  }
}

const present = (credentials: { username: string; password: string }): RedisCredentials =>
  Object.fromEntries(Object.entries(credentials).filter(([, value]) => value !== ''));
