// A Redis with Sentinels for a run: a master, its replica and three Sentinels, each seen by each node through a proxy of its own.
import { eventually } from '@couplet/testkit/eventually';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { FaultProxies } from './fault-proxies.js';
import {
  cutsOf,
  DEATH_MS,
  DURABLE,
  fallsOf,
  REPLICAS_ACK,
  type RedisEngine,
  SETTLED_MS,
  type Way,
} from './redis-engine.js';

const WATCH = [
  `sentinel down-after-milliseconds mymaster ${DEATH_MS.never}`,
  'sentinel failover-timeout mymaster 3000',
  'sentinel resolve-hostnames no',
];

/** As many as must have a write before it is answered: of two, Sentinels may promote the one that has it not. */
const REPLICAS = REPLICAS_ACK;
const SENTINELS = 3;

/** Starts it for so many nodes. The caller stops it. */
export async function startSentinelEngine(nodes: number): Promise<RedisEngine> {
  const first = await startRedis(DURABLE);
  const follow = `replicaof 127.0.0.1 ${first.port}`;
  const replicas = await Promise.all(
    Array.from({ length: REPLICAS }, () => startRedis([...DURABLE, follow])),
  );
  const servers = [first, ...replicas];
  const monitor = `sentinel monitor mymaster 127.0.0.1 ${first.port} 2`;
  const sentinels = await Promise.all(
    Array.from({ length: SENTINELS }, () => startRedis([monitor, ...WATCH], ['--sentinel'])),
  );
  await eventually(async () => {
    for (const sentinel of sentinels) {
      const info = String(await sentinel.admin('INFO', 'sentinel'));
      if (!info.includes(`slaves=${REPLICAS},sentinels=${SENTINELS}`)) throw new Error(info);
    }
  }, SETTLED_MS);
  const proxies = new FaultProxies();
  const ways = await Promise.all(
    Array.from({ length: nodes }, () => wayTo(servers, sentinels, proxies)),
  );
  const settled = () => eventually(() => requireSettled(servers, sentinels), SETTLED_MS);
  await settled();

  const victim = async () => {
    const port = await eventually(() => masterPort(sentinels[0] as RedisServer), SETTLED_MS);
    return servers.find((server) => server.port === port) as RedisServer;
  };
  const falls = fallsOf({
    settled,
    takeForDeath: (ms) =>
      Promise.all(
        sentinels.map((sentinel) =>
          eventually(
            () =>
              sentinel.admin('SENTINEL', 'SET', 'mymaster', 'down-after-milliseconds', String(ms)),
            SETTLED_MS,
          ),
        ),
      ),
    victim,
    all: async () => [await victim()],
    async succeeded({ port }) {
      await eventually(async () => {
        for (const sentinel of sentinels) {
          if ((await masterPort(sentinel)) === port) throw new Error('no failover yet');
        }
      }, SETTLED_MS);
    },
  });

  return {
    ...cutsOf(ways),
    ...falls,
    async stop() {
      await proxies.close();
      await Promise.all([...sentinels, ...servers].map((server) => server.dispose()));
    },
  };
}

/** A proxy to each server, and to each Sentinel one that names those proxies for the servers. */
async function wayTo(
  servers: readonly RedisServer[],
  sentinels: readonly RedisServer[],
  proxies: FaultProxies,
): Promise<Way> {
  const toServers = await Promise.all(servers.map(({ port }) => proxies.open(port)));
  // In the protocol, a word follows its length, so both ports need five digits, as all unprivileged free ports here have.
  const ports = Object.fromEntries(
    servers.map(({ port }, n) => [`${port}`, `${toServers[n]?.port}`]),
  );
  const toSentinels = await Promise.all(sentinels.map(({ port }) => proxies.open(port)));
  for (const proxy of toSentinels) await proxy.translate(ports);
  const hosts = toSentinels.map(({ port }) => `127.0.0.1:${port}`).join(',');
  return {
    url: `redis://${hosts}?sentinel=mymaster`,
    proxies: [...toServers, ...toSentinels],
  };
}

async function masterPort(sentinel: RedisServer): Promise<number> {
  const reply = await sentinel.admin('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster');
  return Number((reply as string[])[1]);
}

/** Throws unless the Sentinels agree on a master that is one, and all others follow it. */
async function requireSettled(
  servers: readonly RedisServer[],
  sentinels: readonly RedisServer[],
): Promise<void> {
  const ports = new Set(await Promise.all(sentinels.map(masterPort)));
  const [port] = ports;
  if (ports.size > 1) throw new Error('the Sentinels disagree');
  for (const server of servers) {
    const [role, ...rest] = (await server.admin('ROLE')) as unknown[];
    if (server.port === port) {
      if (role !== 'master') throw new Error('the master does not know yet');
    } else if (role === 'master') {
      // The old master does not know what happened meanwhile. A Sentinel would tell it too, in ten seconds.
      await server.admin('REPLICAOF', '127.0.0.1', String(port));
      throw new Error('two masters');
    } else if (rest[1] !== port || rest[2] !== 'connected') {
      throw new Error('a replica does not follow yet');
    }
  }
}
