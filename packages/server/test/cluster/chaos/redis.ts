// Starts the Redis of a run, in which each node reaches each server through a separate proxy, and causes its faults.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from '@couplet/testkit/coturn';
import { eventually } from '@couplet/testkit/eventually';
import { leash } from '@couplet/testkit/leash';
import {
  type RedisServer,
  startRedisCluster,
  startWatchedRedis,
} from '@couplet/testkit/redis-servers';
import type { REDIS_FAULTS } from './history.js';

/** An answered write is in the file, so a server that is killed and started again has it. */
const DURABLE = ['appendonly yes', 'appendfsync always', 'repl-diskless-sync-delay 0'];
/** Time in which everything is as before a fault, on a busy machine. */
const SETTLED_MS = 30_000;
/** The silence that counts as the death of a master: short for a deliberate failover, and only then. */
const DEATH_MS = { prompt: 1000, never: 60_000 };
const MASTERS = 3;
/** A slow disk stops Redis for a moment that is shorter than the timeout of a node, so Redis is slow and not unreachable. */
const SLOW_WRITE_MS = 600;
const BETWEEN_WRITES_MS = 30;

/** How a node is cut off: connections are refused, or swallow everything, or are reset when they are accepted. */
export const CUTS = ['refuse', 'black-hole', 'reset'] as const;

/** The Redis behind the nodes, with its possible faults. */
export interface Engine {
  /** REDIS_URL of each node. */
  readonly urls: readonly string[];
  /** Cuts a node off for a time. */
  cut(node: number, how: string, forMs: number): Promise<void>;
  /** Resolves when the fault is over and all servers are in their normal state. */
  suffer(what: keyof typeof REDIS_FAULTS, how: string, forMs: number): Promise<void>;
  stop(): Promise<void>;
}

/** The differences between Sentinels and a Cluster. The functions throw while the state is not reached. */
interface Mode {
  servers: readonly RedisServer[];
  /** The servers in REDIS_URL. */
  contacts: readonly RedisServer[];
  query: string;
  masters(): Promise<readonly RedisServer[]>;
  requireSettled(): Promise<void>;
  requireSuccessor(ended: RedisServer): Promise<void>;
  /** Sets the silence that counts as death. */
  takeForDeath(ms: number): Promise<unknown>;
  dispose(): Promise<void>;
}

/** An administrative connection has timeouts, which a busy machine may exceed. */
const within = <T>(holds: () => Promise<T>): Promise<T> => eventually(holds, SETTLED_MS);

/** Starts it for a number of nodes. The caller stops it. */
export async function startEngine(kind: 'sentinel' | 'cluster', nodes: number): Promise<Engine> {
  const mode = kind === 'cluster' ? await startCluster() : await startSentinels();
  await within(() => mode.takeForDeath(DEATH_MS.never));
  const ways = await Promise.all(Array.from({ length: nodes }, () => wayTo(mode)));
  const settled = () => within(() => mode.requireSettled());
  await settled();
  let ended = 0;
  /** Kills a master and starts it again. */
  const end = async (masters: readonly RedisServer[], meanwhile: (it: RedisServer) => unknown) => {
    const master = masters[ended++ % masters.length] as RedisServer;
    await master.stop('SIGKILL');
    await meanwhile(master);
    await master.start();
  };
  return {
    urls: ways.map(({ url }) => url),
    cut: (node, how, forMs) => ways[node]?.cut(how, forMs) ?? Promise.resolve(),
    async suffer(what, how, forMs) {
      const masters = await within(() => mode.masters());
      const all = (...command: string[]) =>
        Promise.all(masters.map((master) => within(() => master.admin(...command))));
      const stand = async (ms: number) => {
        for (const master of masters) master.pause();
        await sleep(ms);
        for (const master of masters) master.resume();
      };
      const over = performance.now() + forMs;
      switch (what) {
        case 'redis-restart':
          await end(masters, () => sleep(forMs));
          break;
        case 'failover':
          await within(() => mode.takeForDeath(DEATH_MS.prompt));
          await end(masters, async (master) => {
            await within(() => mode.requireSuccessor(master));
            await sleep(forMs);
          });
          await settled();
          await within(() => mode.takeForDeath(DEATH_MS.never));
          break;
        case 'redis-pause':
          await stand(forMs);
          break;
        case 'redis-slow':
          for (; performance.now() < over; await sleep(BETWEEN_WRITES_MS))
            await stand(SLOW_WRITE_MS);
          break;
        case 'redis-full':
          await all('CONFIG', 'SET', 'maxmemory', '1');
          await sleep(forMs);
          await all('CONFIG', 'SET', 'maxmemory', '0');
          break;
        case 'redis-flush':
          await all('FLUSHALL');
          break;
        case 'redis-hang-up':
          for (;;) {
            await all('CLIENT', 'KILL', 'TYPE', how);
            if (performance.now() >= over) break;
            await sleep(500);
          }
      }
      await settled();
    },
    async stop() {
      for (const { stop } of ways) stop();
      await mode.dispose();
    },
  };
}

const PROXY = fileURLToPath(new URL('./proxy-process.js', import.meta.url));

/** A process with a proxy to each server. In the answers, the proxies replace the servers. */
async function wayTo({ servers, contacts, query }: Mode) {
  const ports: Record<number, number> = {};
  // In the protocol, a word follows its length, so all ports need five digits, as free ports have.
  for (const { port } of [...servers, ...contacts]) ports[port] ??= await freePort();
  const start = async () => {
    const child = fork(PROXY, [JSON.stringify(ports)], { execArgv: [] });
    leash(child);
    await once(child, 'message');
    return child;
  };
  let proxy: ChildProcess = await start();
  const hosts = contacts.map(({ port }) => `127.0.0.1:${ports[port]}`).join(',');
  return {
    url: `redis://${hosts}?${query}`,
    async cut(how: string, forMs: number) {
      const signals = { 'black-hole': ['SIGSTOP', 'SIGCONT'], reset: ['SIGUSR2', 'SIGUSR2'] };
      const [begin, end] = signals[how as keyof typeof signals] ?? ['SIGKILL'];
      proxy.kill(begin as NodeJS.Signals);
      await sleep(forMs);
      if (end) proxy.kill(end as NodeJS.Signals);
      else proxy = await start();
    },
    stop: () => proxy.kill('SIGKILL'),
  };
}

const roleOf = async (server: RedisServer) => (await server.admin('ROLE')) as unknown[];

const onAll = (servers: readonly RedisServer[], ...command: string[]) =>
  Promise.all(servers.map((server) => server.admin(...command)));

/** Three masters, each with a replica. */
async function startCluster(): Promise<Mode> {
  const { servers, dispose } = await startRedisCluster(MASTERS, true, DURABLE);
  const mastersOf = async (some: readonly RedisServer[]) => {
    const roles = await Promise.all(some.map(roleOf));
    return some.filter((_, n) => roles[n]?.[0] === 'master');
  };
  return {
    servers,
    contacts: servers,
    query: 'cluster',
    masters: () => mastersOf(servers),
    async requireSettled() {
      for (const server of servers) {
        const info = String(await server.admin('CLUSTER', 'INFO'));
        if (!info.includes('cluster_state:ok')) throw new Error(info);
        const [role, ...rest] = await roleOf(server);
        const hasReplica = role === 'master' && (rest[1] as unknown[]).length === 1;
        if (!hasReplica && rest[2] !== 'connected') throw new Error('a replica does not follow');
      }
      if ((await mastersOf(servers)).length !== MASTERS) throw new Error('too many masters');
    },
    async requireSuccessor(ended) {
      const masters = await mastersOf(servers.filter((server) => server !== ended));
      if (masters.length < MASTERS) throw new Error('no failover yet');
    },
    takeForDeath: (ms) => onAll(servers, 'CONFIG', 'SET', 'cluster-node-timeout', String(ms)),
    dispose,
  };
}

/** A master, its replica and three Sentinels. */
async function startSentinels(): Promise<Mode> {
  const { servers, sentinels, masterPorts, dispose } = await startWatchedRedis({
    settings: DURABLE,
    downAfterMs: 500,
  });
  return {
    servers,
    contacts: sentinels,
    query: 'sentinel=mymaster',
    async masters() {
      const ports = await masterPorts();
      return servers.filter((server) => ports.includes(server.port));
    },
    async requireSettled() {
      const [port, ...others] = await masterPorts();
      if (others.length > 0) throw new Error('the Sentinels disagree');
      for (const server of servers) {
        const [role, ...rest] = await roleOf(server);
        if (server.port === port) {
          if (role !== 'master') throw new Error('the master is not yet promoted');
        } else if (role === 'master') {
          // The old master was not told. A Sentinel would tell it too, in ten seconds.
          await server.admin('REPLICAOF', '127.0.0.1', String(port));
          throw new Error('two masters');
        } else if (rest[1] !== port || rest[2] !== 'connected') {
          throw new Error('a replica does not follow yet');
        }
      }
      const info = (await onAll(sentinels, 'INFO', 'sentinel')).map(String);
      const isWhole = info.every((text) => text.includes(`slaves=1,sentinels=${sentinels.length}`));
      if (!isWhole) throw new Error('the Sentinels do not know each other yet');
    },
    async requireSuccessor({ port }) {
      if ((await masterPorts()).includes(port)) throw new Error('no failover yet');
    },
    takeForDeath: (ms) =>
      onAll(sentinels, 'SENTINEL', 'SET', 'mymaster', 'down-after-milliseconds', String(ms)),
    dispose,
  };
}
