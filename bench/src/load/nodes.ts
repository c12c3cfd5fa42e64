// Selects the node of each connection, and measures what the nodes, their Redis and the network need for an event.
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

/** Bytes of a socket so far, as TCP carries them: with the headers of HTTP and WebSocket. */
interface Traffic {
  readonly sent: number;
  readonly received: number;
}

/** Measures the CPU time of all nodes and of their Redis, and the bytes of clients, from its creation on. */
export class Meter {
  readonly #job: Server;
  readonly #sockets: readonly Traffic[];
  readonly #before: Record<'nodes' | 'redis' | 'sent' | 'received', number>;

  constructor(job: Server, sockets: readonly Traffic[] = []) {
    this.#job = job;
    this.#sockets = sockets;
    this.#before = this.#read();
  }

  /** CPU time and bytes of one of `events`. CPU time is NaN if the system does not report it. */
  per(events: number) {
    const { nodes, redis, sent, received } = this.#read();
    const before = this.#before;
    return {
      serverMicroseconds: ((nodes - before.nodes) * 1000) / events,
      redisMicroseconds: ((redis - before.redis) * 1000) / events,
      bytesFromClients: (sent - before.sent) / events,
      bytesToClients: (received - before.received) / events,
    };
  }

  #read() {
    const { cluster } = this.#job;
    const sumOf = (kind: keyof Traffic) =>
      this.#sockets.reduce((sum, socket) => sum + socket[kind], 0);
    return {
      nodes: cpuOf(pidsOf(this.#job)),
      redis: cluster === undefined ? 0 : cpuOf([cluster.redisPid]),
      sent: sumOf('sent'),
      received: sumOf('received'),
    };
  }
}

const cpuOf = (pids: readonly number[]): number =>
  pids.reduce((sum, pid) => sum + (cpuMilliseconds(pid) ?? Number.NaN), 0);
