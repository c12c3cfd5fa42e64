// Starts a Redis Cluster for a run: three masters, each with a replica. Each node reaches each server through its own proxy.
import { eventually } from '@couplet/testkit/eventually';
import { type RedisServer, startRedisCluster } from '@couplet/testkit/redis-servers';
import { FaultProxies } from './fault-proxies.js';
import {
  cutsOf,
  DEATH_MS,
  DURABLE,
  fallsOf,
  type RedisEngine,
  SETTLED_MS,
  type Way,
} from './redis-engine.js';

const MASTERS = 3;

/** Starts it for so many nodes. The caller stops it. */
export async function startClusterEngine(nodes: number): Promise<RedisEngine> {
  const { servers, dispose } = await startRedisCluster(MASTERS, true, [
    ...DURABLE,
    `cluster-node-timeout ${DEATH_MS.never}`,
  ]);
  const proxies = new FaultProxies();
  const ways = await Promise.all(Array.from({ length: nodes }, () => wayTo(servers, proxies)));
  const settled = () => eventually(() => requireSettled(servers), SETTLED_MS);
  await settled();
  let struck = 0;

  const all = () => eventually(() => mastersOf(servers), SETTLED_MS);
  const falls = fallsOf({
    settled,
    takeForDeath: (ms) =>
      Promise.all(
        servers.map((server) =>
          eventually(
            () => server.admin('CONFIG', 'SET', 'cluster-node-timeout', String(ms)),
            SETTLED_MS,
          ),
        ),
      ),
    all,
    async victim() {
      const masters = await all();
      return masters[struck++ % masters.length] as RedisServer;
    },
    async succeeded(ended) {
      const others = servers.filter((server) => server !== ended);
      await eventually(async () => {
        if ((await mastersOf(others)).length < MASTERS) throw new Error('no failover yet');
      }, SETTLED_MS);
    },
  });

  return {
    ...cutsOf(ways),
    ...falls,
    async stop() {
      await proxies.close();
      await dispose();
    },
  };
}

/** A proxy to each server, by which that one names those proxies for all. */
async function wayTo(servers: readonly RedisServer[], proxies: FaultProxies): Promise<Way> {
  const open = await Promise.all(servers.map(({ port }) => proxies.open(port)));
  const ports = Object.fromEntries(servers.map(({ port }, n) => [`${port}`, `${open[n]?.port}`]));
  for (const proxy of open) await proxy.translate(ports);
  const hosts = open.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return { url: `redis://${hosts}?cluster`, proxies: open };
}

const roleOf = async (server: RedisServer) => (await server.admin('ROLE')) as unknown[];

async function mastersOf(servers: readonly RedisServer[]): Promise<RedisServer[]> {
  const roles = await Promise.all(servers.map(roleOf));
  return servers.filter((_, n) => roles[n]?.[0] === 'master');
}

/** Throws unless there are as many masters as should be, all agree on that, and each has a replica that follows. */
async function requireSettled(servers: readonly RedisServer[]): Promise<void> {
  for (const server of servers) {
    const info = String(await server.admin('CLUSTER', 'INFO'));
    if (!/cluster_state:ok/.test(info)) throw new Error(info);
    const [role, ...rest] = await roleOf(server);
    if (role === 'slave' && rest[2] !== 'connected') throw new Error('a replica does not follow');
    if (role === 'master' && (rest[1] as unknown[]).length !== 1) throw new Error('no replica');
  }
  if ((await mastersOf(servers)).length !== MASTERS) throw new Error('too many masters');
}
