// Nodes over one Redis, all of them on the server's core.
import type { ClusterUnderLoad, Server } from '../load/job.js';
import { type RunningRedis, startRedis } from './redis.js';
import { type RunningServer, startServer } from './server.js';
import { coupletNode } from './specs.js';

export interface RunningCluster {
  redis: RunningRedis;
  nodes: readonly RunningServer[];
  /** Where a job finds it; each call has rooms of its own. */
  under(place: Pick<ClusterUnderLoad, 'apart'>): Server;
  stop(): Promise<void>;
}

/** Settings beyond the usual ones. */
export interface ClusterSettings {
  redis?: Record<string, string>;
  nodes?: Record<string, string>;
}

/** Pairs that one job may have. */
const PAIRS_OF_A_JOB = 100_000;

export async function startCluster(
  count: number,
  workFolder: string,
  settings: ClusterSettings = {},
): Promise<RunningCluster> {
  const redis = await startRedis(workFolder, settings.redis ?? {});
  const nodes: RunningServer[] = [];
  const stop = async () => {
    for (const node of nodes) await node.stop();
    await redis.stop();
  };
  try {
    while (nodes.length < count) {
      nodes.push(await startServer(coupletNode(redis.port, settings.nodes), workFolder));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  let firstPair = 0;
  const under = ({ apart }: Pick<ClusterUnderLoad, 'apart'>): Server => {
    const [{ port, pid }] = nodes as [RunningServer];
    firstPair += PAIRS_OF_A_JOB;
    const [ports, pids] = [nodes.map((node) => node.port), nodes.map((node) => node.pid)];
    return { port, pid, cluster: { ports, pids, redisPid: redis.pid, apart, firstPair } };
  };
  return { redis, nodes, under, stop };
}
