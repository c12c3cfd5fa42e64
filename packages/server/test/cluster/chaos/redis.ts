// Starts the Redis of a run, in which each node reaches each server through a separate proxy, and causes its faults.
import { setTimeout as sleep } from 'node:timers/promises';
import { eventually } from '@couplet/testkit/eventually';
import {
  type RedisServer,
  startRedisCluster,
  startWatchedRedis,
} from '@couplet/testkit/redis-servers';
import { FaultProxies, type FaultProxy } from './fault-proxies.js';
import type { Cut } from './schedule.js';

/** REDIS_REPLICAS_ACK of the nodes, and the replicas of each master: no failover loses an answered write. */
export const REPLICAS_ACK = 1;

/** An answered write is in the file, so a server that is killed and started again has it. */
const DURABLE = ['appendonly yes', 'appendfsync always', 'repl-diskless-sync-delay 0'];
/** Time in which everything is as before a fault, on a busy machine. */
export const SETTLED_MS = 30_000;
/** The silence that counts as the death of a master: short for a deliberate failover, and only then. */
const DEATH_MS = { prompt: 1000, never: 60_000 };
const MASTERS = 3;
const SENTINELS = 3;

/** The Redis behind the nodes, with its possible faults. */
export interface Engine {
  /** REDIS_URL of each node. */
  readonly urls: readonly string[];
  cut(node: number, how: Cut): Promise<void>;
  mend(node: number): Promise<void>;
  /** Kills a master and starts it again after this time. */
  restart(downMs: number): Promise<void>;
  /** Kills a master, and starts it again this time after another server has replaced it. */
  failover(downMs: number): Promise<void>;
  /** The present masters, for other faults. */
  masters(): Promise<readonly RedisServer[]>;
  /** Resolves when all servers are in their normal state. */
  settled(): Promise<void>;
  stop(): Promise<void>;
}

/** The differences between Sentinels and a Cluster. The functions throw while the state is not reached. */
interface Mode {
  servers: readonly RedisServer[];
  /** The servers in REDIS_URL, whose answers name the other servers. */
  contacts: readonly RedisServer[];
  query: string;
  masters(): Promise<readonly RedisServer[]>;
  requireSettled(): Promise<void>;
  requireSuccessor(ended: RedisServer): Promise<void>;
  /** Sets the silence that counts as death. */
  takeForDeath(ms: number): Promise<unknown>;
  dispose(): Promise<void>;
}

/** Starts it for a number of nodes. The caller stops it. */
export async function startEngine(kind: 'sentinel' | 'cluster', nodes: number): Promise<Engine> {
  const mode = kind === 'cluster' ? await startCluster() : await startSentinels();
  await within(() => mode.takeForDeath(DEATH_MS.never));
  const proxies = new FaultProxies();
  const ways = await Promise.all(Array.from({ length: nodes }, () => wayTo(mode, proxies)));
  const settled = () => within(() => mode.requireSettled());
  await settled();
  let ended = 0;
  const end = async (meanwhile: (master: RedisServer) => Promise<unknown>) => {
    const masters = await within(() => mode.masters());
    const master = masters[ended++ % masters.length] as RedisServer;
    await master.stop('SIGKILL');
    await meanwhile(master);
    await master.start();
    await settled();
  };
  const each = (node: number, order: (proxy: FaultProxy) => Promise<unknown>) =>
    Promise.all((ways[node]?.proxies ?? []).map(order)).then(() => {});
  return {
    urls: ways.map(({ url }) => url),
    cut: (node, how) => each(node, (proxy) => proxy.cut(how)),
    mend: (node) => each(node, (proxy) => proxy.mend()),
    masters: () => within(() => mode.masters()),
    settled,
    restart: (downMs) => end(() => sleep(downMs)),
    async failover(downMs) {
      await within(() => mode.takeForDeath(DEATH_MS.prompt));
      await end(async (master) => {
        await within(() => mode.requireSuccessor(master));
        await sleep(downMs);
      });
      await within(() => mode.takeForDeath(DEATH_MS.never));
    },
    async stop() {
      await proxies.close();
      await mode.dispose();
    },
  };
}

const within = <T>(holds: () => Promise<T>): Promise<T> => eventually(holds, SETTLED_MS);

/** A proxy to each server. In the answers of the contacts, they replace the servers. */
async function wayTo({ servers, contacts, query }: Mode, proxies: FaultProxies) {
  const all = [...new Set([...servers, ...contacts])];
  const open = await Promise.all(all.map(({ port }) => proxies.open(port)));
  const proxyOf = (server: RedisServer) => open[all.indexOf(server)] as FaultProxy;
  // In the protocol, a word follows its length, so all ports need five digits, as unprivileged free ports have.
  const ports = Object.fromEntries(servers.map((one) => [one.port, String(proxyOf(one).port)]));
  for (const contact of contacts) await proxyOf(contact).translate(ports);
  const hosts = contacts.map((contact) => `127.0.0.1:${proxyOf(contact).port}`).join(',');
  return { url: `redis://${hosts}?${query}`, proxies: open };
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
        if (!/cluster_state:ok/.test(info)) throw new Error(info);
        const [role, ...rest] = await roleOf(server);
        if (role === 'slave' && rest[2] !== 'connected')
          throw new Error('a replica does not follow');
        if (role === 'master' && (rest[1] as unknown[]).length !== 1) throw new Error('no replica');
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
  const { servers, sentinels, masterPort, dispose } = await startWatchedRedis({
    settings: DURABLE,
    downAfterMs: 500,
  });
  const named = async () => {
    const address = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster'];
    const replies = (await onAll(sentinels, ...address)) as string[][];
    return new Set(replies.map(([, port]) => Number(port)));
  };
  return {
    servers,
    contacts: sentinels,
    query: 'sentinel=mymaster',
    async masters() {
      const port = await masterPort();
      return servers.filter((server) => server.port === port);
    },
    async requireSettled() {
      const [port, ...others] = await named();
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
      const isWhole = info.every((text) => text.includes(`slaves=1,sentinels=${SENTINELS}`));
      if (!isWhole) throw new Error('the Sentinels do not know each other yet');
    },
    async requireSuccessor({ port }) {
      if ((await named()).has(port)) throw new Error('no failover yet');
    },
    takeForDeath: (ms) =>
      onAll(sentinels, 'SENTINEL', 'SET', 'mymaster', 'down-after-milliseconds', String(ms)),
    dispose,
  };
}
