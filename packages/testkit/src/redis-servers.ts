// Runs real Redis for tests on free loopback ports: single servers, a Cluster, and a master with Sentinels.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { SLOTS } from '../../server/src/redis/servers.js';
import type { Certificate } from './certificate.js';
import { freePort } from './coturn.js';
import { eventually } from './eventually.js';
import { leash } from './leash.js';
import { startTcpProxy } from './tcp-proxy.js';

export interface RedisServer {
  readonly port: number;
  /** `redis://127.0.0.1:port` */
  readonly url: string;
  /** Its port for TLS; 0 if it has none. */
  readonly tlsPort: number;
  /** For each TLS connection so far, whether its client sent `localhost` (SNI, RFC 6066 §3), which Redis does not log. */
  hellos(): boolean[];
  /** Runs an admin command over a separate connection. */
  admin(...command: string[]): Promise<unknown>;
  /** Kills it (`SIGKILL`), or lets it write its data first (`SIGTERM`). */
  stop(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Starts it again after {@link stop}, with the data that it wrote. */
  start(): Promise<void>;
  /** Pauses it; its sockets stay open. */
  pause(): void;
  resume(): void;
  /** Ends it and deletes its folder. */
  dispose(): Promise<void>;
}

/** In memory if possible: on a disk that is busy with other tests, a server that syncs its writes would stall. */
const DATA = hasRoom('/dev/shm') ? '/dev/shm' : tmpdir();

function hasRoom(folder: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize >= 2 ** 30;
  } catch {
    return false;
  }
}

/** A separate connection, to inspect Redis; it does not reconnect. */
async function connectTo(port: number): Promise<Redis> {
  const redis = new Redis({
    port,
    host: '127.0.0.1',
    replyMapping: 'resp3',
    retryStrategy: null,
    lazyConnect: true,
    connectTimeout: 30_000,
    commandTimeout: 30_000,
    enableReadyCheck: false,
  });
  let cause: unknown;
  redis.on('error', (error) => {
    cause = error;
  });
  await redis.connect().catch((error) => {
    throw new Error(`port ${port} of Redis: ${cause ?? error}`);
  });
  return redis;
}

/** For `localhost`, the name by which servers then announce themselves. */
type Tls = Pick<Certificate, 'cert' | 'key'>;

/**
 * Starts one server; `settings` are lines of redis.conf. With a certificate it also listens for TLS, and uses TLS with
 * its replicas, its Sentinels and its Cluster. The caller stops it.
 */
export async function startRedis(
  settings: readonly string[] = [],
  args: readonly string[] = [],
  tls?: Tls,
): Promise<RedisServer> {
  const folder = mkdtempSync(join(DATA, 'couplet-redis-'));
  const port = await freePort();
  const tlsPort = await freePort();
  // ClientHello contains the name in plain text.
  const front = tls === undefined ? undefined : await startTcpProxy(tlsPort);
  const config = join(folder, 'redis.conf');
  const lines = [
    `port ${port}`,
    'bind 127.0.0.1',
    `dir ${folder}`,
    'save ""',
    'appendonly no',
    ...(tls === undefined
      ? []
      : [
          `tls-port ${tlsPort}`,
          `tls-cert-file ${tls.cert}`,
          `tls-key-file ${tls.key}`,
          `tls-ca-cert-file ${tls.cert}`,
          'tls-auth-clients no',
          'tls-replication yes',
          'tls-cluster yes',
          // Sentinels do not have these settings.
          ...(args.includes('--sentinel')
            ? []
            : [`replica-announce-port ${front?.port}`, `cluster-announce-tls-port ${front?.port}`]),
        ]),
    ...settings,
  ];
  writeFileSync(config, `${lines.join('\n')}\n`);
  let child: ChildProcess | undefined;
  let log = '';

  const admin = async (...[name = '', ...args]: string[]) => {
    const redis = await connectTo(port);
    return redis.call(name, ...args).finally(() => redis.disconnect());
  };
  const stop = async (signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL') => {
    const ending = child;
    child = undefined;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const exit = new Promise<void>((resolve) => ending.once('exit', () => resolve()));
    // A paused process reacts only to SIGKILL.
    if (signal !== 'SIGKILL') ending.kill('SIGCONT');
    ending.kill(signal);
    await exit;
  };
  const start = async () => {
    const started = spawn('redis-server', [config, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child = started;
    leash(started);
    for (const stream of [started.stdout, started.stderr]) {
      stream.on('data', (text) => {
        log = `${log}${text}`.slice(-20_000);
      });
    }
    await eventually(async () => {
      if (started.exitCode !== null) throw new Error(`redis-server ended:\n${log}`);
      await admin('PING');
    });
  };
  await start();
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    tlsPort: front?.port ?? 0,
    hellos: () => (front?.beginnings ?? []).map((bytes) => bytes.includes('localhost')),
    admin,
    stop,
    start,
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    async dispose() {
      await front?.close();
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Resolves once a server reports all these texts in its answer to a command. */
const reports = (server: RedisServer, command: readonly string[], ...texts: string[]) =>
  eventually(async () => {
    const answer = String(await server.admin(...command));
    if (!texts.every((text) => answer.includes(text))) throw new Error(answer);
  });

const follows = (replica: RedisServer) =>
  reports(replica, ['INFO', 'replication'], 'master_link_status:up');

/** The beginning of a REDIS_URL. */
const addressOf = (servers: readonly RedisServer[]): string => {
  const isSecure = servers.every(({ tlsPort }) => tlsPort > 0);
  const hosts = servers.map(({ port, tlsPort }) =>
    isSecure ? `localhost:${tlsPort}` : `127.0.0.1:${port}`,
  );
  return `${isSecure ? 'rediss' : 'redis'}://${hosts.join(',')}`;
};

export interface RedisCluster {
  /** As for REDIS_URL. */
  readonly url: string;
  readonly servers: readonly RedisServer[];
  /** Moves a slot, with its keys, to the server of this number. */
  moveSlot(slot: number, to: number): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Starts a Redis Cluster of masters that share the slots.
 *
 * @param replicas - whether each master has a replica: the last servers, in the order of their masters
 * @param settings - more lines of redis.conf
 * @param tls - the certificate for clients; the servers announce themselves as `localhost`
 */
export async function startRedisCluster(
  masters = 3,
  replicas = false,
  settings: readonly string[] = [],
  tls?: Tls,
): Promise<RedisCluster> {
  const named = ['cluster-announce-hostname localhost', 'cluster-preferred-endpoint-type hostname'];
  const started = await Promise.all(
    Array.from({ length: replicas ? masters * 2 : masters }, async () => {
      const busPort = await freePort();
      const lines = [
        'cluster-enabled yes',
        `cluster-port ${busPort}`,
        // Without replicas there is no failover to wait for, and a busy machine pauses a process for longer than a second.
        `cluster-node-timeout ${replicas ? 1000 : 10_000}`,
        'cluster-replica-validity-factor 0',
        'repl-diskless-sync-delay 0',
        ...(tls === undefined ? [] : named),
        ...settings,
      ];
      return { server: await startRedis(lines, [], tls), busPort };
    }),
  );
  const servers = started.map(({ server }) => server);
  const [first] = servers as [RedisServer];
  const each = Math.ceil(SLOTS / masters);
  await Promise.all(
    servers.slice(0, masters).map(async (server, n) => {
      const last = Math.min(SLOTS, (n + 1) * each) - 1;
      await server.admin('CLUSTER', 'ADDSLOTSRANGE', String(n * each), String(last));
      await server.admin('CLUSTER', 'SET-CONFIG-EPOCH', String(n + 1));
    }),
  );
  for (const { server, busPort } of started.slice(1)) {
    await first.admin('CLUSTER', 'MEET', '127.0.0.1', String(server.port), String(busPort));
  }
  const info = ['CLUSTER', 'INFO'];
  const known = `cluster_known_nodes:${servers.length}`;
  const id = async (server: RedisServer) => String(await server.admin('CLUSTER', 'MYID'));
  for (const server of servers) await reports(server, info, known);
  for (const [n, server] of servers.slice(masters).entries()) {
    const master = await id(servers[n] as RedisServer);
    await eventually(async () => void (await server.admin('CLUSTER', 'REPLICATE', master)));
  }
  for (const server of servers) await reports(server, info, 'cluster_state:ok', known);
  for (const server of servers.slice(masters)) await follows(server);
  return {
    url: `${addressOf(servers.slice(0, masters))}?cluster`,
    servers,
    async moveSlot(slot, to) {
      const target = servers[to] as RedisServer;
      const ranges = (await target.admin('CLUSTER', 'SLOTS')) as [number, number, unknown[]][];
      const owner = ranges.find(([low, high]) => low <= slot && slot <= high)?.[2][1];
      const source = servers.find(({ port }) => port === owner);
      if (source === undefined || source === target) return;
      const set = (server: RedisServer, ...state: string[]) =>
        server.admin('CLUSTER', 'SETSLOT', String(slot), ...state);
      const targetId = await id(target);
      await set(target, 'IMPORTING', await id(source));
      await set(source, 'MIGRATING', targetId);
      const count = ['CLUSTER', 'GETKEYSINSLOT', String(slot), '1000'];
      const keys = (await source.admin(...count)) as string[];
      if (keys.length > 0) {
        const command = ['MIGRATE', '127.0.0.1', String(target.port), '', '0', '3000', 'KEYS'];
        await source.admin(...command, ...keys);
      }
      for (const server of [target, source]) await set(server, 'NODE', targetId);
    },
    dispose: async () => void (await Promise.all(servers.map((server) => server.dispose()))),
  };
}

export interface WatchedRedis {
  /** As for REDIS_URL. */
  readonly url: string;
  /** The first is the master at the start. */
  readonly servers: readonly [RedisServer, RedisServer];
  readonly sentinels: readonly RedisServer[];
  /** The port of the current master, according to the Sentinels; several if they disagree. */
  masterPorts(): Promise<number[]>;
  /** Resolves when the Sentinels agree on another master than this one. */
  failedOver(fromPort: number): Promise<void>;
  dispose(): Promise<void>;
}

/**
 * Starts a master, its replica, and three Sentinels.
 *
 * @param options.tls - the certificate for clients; the servers announce themselves as `localhost`
 * @param options.downAfterMs - time without an answer that counts as a failure; by default longer than a busy machine pauses a
 * process
 */
export async function startWatchedRedis({
  settings = [],
  tls,
  downAfterMs = 10_000,
}: {
  settings?: readonly string[];
  tls?: Tls;
  downAfterMs?: number;
} = {}): Promise<WatchedRedis> {
  const host = tls === undefined ? '127.0.0.1' : 'localhost';
  const quick = [
    'repl-diskless-sync-delay 0',
    'repl-timeout 10',
    ...(tls === undefined ? [] : [`replica-announce-ip ${host}`]),
    ...settings,
  ];
  const portOf = ({ port, tlsPort }: RedisServer) => tlsPort || port;
  const master = await startRedis(quick, [], tls);
  const replica = await startRedis([...quick, `replicaof ${host} ${portOf(master)}`], [], tls);
  await follows(replica);
  const watch = [
    `sentinel resolve-hostnames ${tls === undefined ? 'no' : 'yes'}`,
    `sentinel announce-hostnames ${tls === undefined ? 'no' : 'yes'}`,
    `sentinel monitor mymaster ${host} ${portOf(master)} 2`,
    `sentinel down-after-milliseconds mymaster ${downAfterMs}`,
    'sentinel failover-timeout mymaster 3000',
  ];
  const sentinels = await Promise.all(
    Array.from({ length: 3 }, () => startRedis(watch, ['--sentinel'], tls)),
  );
  for (const sentinel of sentinels) {
    await reports(sentinel, ['INFO', 'sentinel'], 'slaves=1,sentinels=3');
  }
  const masterPorts = async () => {
    const ask = async ({ admin }: RedisServer) =>
      (await admin('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster')) as [string, string];
    const addresses = await Promise.all(sentinels.map(ask));
    return [...new Set(addresses.map(([, port]) => Number(port)))];
  };
  return {
    url: `${addressOf(sentinels)}?sentinel=mymaster`,
    servers: [master, replica],
    sentinels,
    masterPorts,
    failedOver: (fromPort) =>
      eventually(async () => {
        if ((await masterPorts()).includes(fromPort)) throw new Error('no failover yet');
      }),
    dispose: async () => {
      await Promise.all([...sentinels, master, replica].map((server) => server.dispose()));
    },
  };
}
