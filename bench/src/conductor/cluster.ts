// Runs nodes over one Redis, all of them on the server's core.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Place, Server } from '../load/job.js';
import { type RunningRedis, startRedis } from './redis.js';
import { type RunningServer, startServer } from './server.js';
import { coupletNode, ROOT } from './specs.js';

export interface RunningCluster {
  redis: RunningRedis;
  nodes: readonly RunningServer[];
  /** The address for a job; each call uses new rooms. */
  under(place: Place): Server;
  stop(): Promise<void>;
}

/** Settings in addition to the usual ones. */
export interface ClusterSettings {
  redis?: Record<string, string>;
  nodes?: Record<string, string>;
  /** Whether Caddy is in front of the nodes. */
  balanced?: boolean;
}

/** Number of pairs that one job may have. */
const PAIRS_OF_A_JOB = 100_000;

export async function startCluster(
  count: number,
  workFolder: string,
  settings: ClusterSettings = {},
): Promise<RunningCluster> {
  const redis = await startRedis(workFolder, settings.redis ?? {});
  const nodes: RunningServer[] = [];
  let balancer: RunningServer | undefined;
  const stop = async () => {
    await balancer?.stop();
    for (const node of nodes) await node.stop();
    await redis.stop();
  };
  try {
    while (nodes.length < count) {
      nodes.push(await startServer(coupletNode(redis.port, settings.nodes), workFolder));
    }
    if (settings.balanced) {
      balancer = await startCaddy(
        workFolder,
        nodes.map(({ port }) => port),
      );
    }
  } catch (error) {
    await stop();
    throw error;
  }
  let firstPair = 0;
  const under = (place: Place): Server => {
    const [{ port, pid }] = nodes as [RunningServer];
    firstPair += PAIRS_OF_A_JOB;
    const [ports, pids] = [nodes.map((node) => node.port), nodes.map((node) => node.pid)];
    const { pid: redisPid } = redis;
    const balancerPort = balancer?.port;
    return { port, pid, cluster: { ports, pids, redisPid, balancerPort, place, firstPair } };
  };
  return { redis, nodes, under, stop };
}

/** Runs deploy/Caddyfile.cluster in front of the nodes, and waits until it finds a ready node. */
function startCaddy(workFolder: string, ports: readonly number[]): Promise<RunningServer> {
  const shipped = `${ROOT}deploy/Caddyfile.cluster`;
  return startServer(
    {
      program: 'caddy',
      args: (_port, folder) => {
        const main = join(folder, 'Caddyfile');
        writeFileSync(main, `{\n admin off\n default_bind 127.0.0.1\n}\nimport ${shipped}\n`);
        return ['run', '--config', main, '--adapter', 'caddyfile'];
      },
      env: (port, folder) => ({
        HOME: folder,
        SITE: `:${port}`,
        NODES: ports.map((node) => `127.0.0.1:${node}`).join(' '),
      }),
      probe: '/readyz',
    },
    workFolder,
  );
}
