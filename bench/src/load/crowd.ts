// Opens many WebSockets, a few at a time or all at once, and measures the time until the last is in its room.
import type { CrowdJob, Load, Measured, Server } from './job.js';
import { CpuMeter, portFor } from './nodes.js';
import { bytesPer } from './traffic.js';
import { LoadWebSocket } from './web-socket.js';

/** Delay before a client whose connection failed tries again, in milliseconds. */
const RETRY_MS = 1000;

export interface CrowdOptions extends Server {
  dialect: CrowdJob['dialect'];
  connections: number;
  join: boolean;
  atOnce: number;
}

export interface Crowd {
  sockets: LoadWebSocket[];
  /** Connections that failed and were retried. */
  failures: number;
}

/** Resolves when all are ready. The conductor limits the time. */
export function openCrowd(options: CrowdOptions): Promise<Crowd> {
  const { dialect, connections, join, atOnce, cluster } = options;
  const sockets: LoadWebSocket[] = [];
  let begun = 0;
  let ready = 0;
  let failures = 0;
  return new Promise((resolve) => {
    const open = (number: number) => {
      const port = portFor(options, number >> 1, number & 1);
      const hinted = cluster?.place === 'hinted';
      const named = { port, dialect, number: number + (cluster?.firstPair ?? 0) * 2, join, hinted };
      sockets[number] = new LoadWebSocket(named, arrived, (reason) => {
        if (sockets[number]?.ready) return;
        failures += 1;
        if (failures === 1) process.stderr.write(`connection ${number} failed: ${reason}\n`);
        setTimeout(open, RETRY_MS, number);
      });
    };
    const arrived = () => {
      ready += 1;
      if (begun < connections) open(begun++);
      else if (ready === connections) resolve({ sockets, failures });
    };
    while (begun < Math.min(atOnce, connections)) open(begun++);
  });
}

/** Values: `seconds` until all were in; `serverMicroseconds` and `redisMicroseconds`, CPU time for each; `bytesFromClients` and `bytesToClients`. The connections stay until the next measurement, or the end. */
export class CrowdLoad implements Load {
  readonly #job: CrowdJob;
  #crowd: Crowd | undefined;

  constructor(job: CrowdJob) {
    this.#job = job;
  }

  async prepare(): Promise<void> {}

  async measure(): Promise<Measured> {
    this.stop();
    const cpu = new CpuMeter(this.#job);
    cpu.start();
    const start = performance.now();
    this.#crowd = await openCrowd(this.#job);
    return {
      values: {
        seconds: (performance.now() - start) / 1000,
        ...cpu.per(this.#job.connections),
        ...bytesPer(this.#job.connections, this.#crowd.sockets),
      },
      errors: this.#crowd.failures,
    };
  }

  stop(): void {
    for (const socket of this.#crowd?.sockets ?? []) socket.destroy();
    this.#crowd = undefined;
  }
}
