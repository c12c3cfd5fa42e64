// Selects the node of each connection, and measures the CPU time of the nodes and their Redis.
import { cpuMilliseconds } from '../figures/process-usage.js';
import type { Server } from './job.js';

/**
 * Port for a connection of these pairs. Without a balancer, pairs are assigned to nodes in turn; with `apart`, the
 * second member goes to the next node.
 */
export function portFor({ port, cluster }: Server, pair: number, seat: number): number {
  if (cluster === undefined) return port;
  const { ports, place, balancerPort } = cluster;
  if (place === 'hinted' || place === 'unhinted') return balancerPort as number;
  return ports[(pair + (place === 'apart' ? seat : 0)) % ports.length] as number;
}

export const pidsOf = ({ pid, cluster }: Server): readonly number[] => cluster?.pids ?? [pid];

/** CPU time of all nodes, and of their Redis, since the start. */
export class CpuMeter {
  readonly #job: Server;
  #nodes = 0;
  #redis = 0;

  constructor(job: Server) {
    this.#job = job;
  }

  start(): void {
    ({ nodes: this.#nodes, redis: this.#redis } = this.#read());
  }

  /** Microseconds per event, for `events` since the start; NaN if the system does not report it. */
  per(events: number): { serverMicroseconds: number; redisMicroseconds: number } {
    const { nodes, redis } = this.#read();
    return {
      serverMicroseconds: ((nodes - this.#nodes) * 1000) / events,
      redisMicroseconds: ((redis - this.#redis) * 1000) / events,
    };
  }

  #read(): { nodes: number; redis: number } {
    const { cluster } = this.#job;
    return {
      nodes: cpuOf(pidsOf(this.#job)),
      redis: cluster === undefined ? 0 : cpuOf([cluster.redisPid]),
    };
  }
}

const cpuOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + (cpuMilliseconds(pid) ?? Number.NaN), 0);
