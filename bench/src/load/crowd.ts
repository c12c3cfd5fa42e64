// Opens many WebSockets, a few at a time or all at once, and measures the time until the last is in its room.
import type { CrowdJob, Load, Measured } from './job.js';
import { Meter, portFor } from './nodes.js';
import { LoadWebSocket } from './web-socket.js';

/** Delay before a client whose connection failed tries again, in milliseconds. */
const RETRY_MS = 1000;

export type CrowdOptions = Omit<CrowdJob, 'kind'>;

/**
 * Adds the connections to `sockets`, and resolves when all are ready, to the number of those that failed and were
 * retried. The conductor limits the time.
 */
export function openCrowd(options: CrowdOptions, sockets: LoadWebSocket[]): Promise<number> {
  const { dialect, connections, join, atOnce, cluster } = options;
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
      else if (ready === connections) resolve(failures);
    };
    while (begun < Math.min(atOnce, connections)) open(begun++);
  });
}

/** Values: `seconds` until all were in; `serverMicroseconds` and `redisMicroseconds`, CPU time for each; `bytesFromClients` and `bytesToClients`. The connections stay until the next measurement, or the end. */
export class CrowdLoad implements Load {
  readonly #job: CrowdJob;
  readonly #sockets: LoadWebSocket[] = [];

  constructor(job: CrowdJob) {
    this.#job = job;
  }

  async prepare(): Promise<void> {}

  async measure(): Promise<Measured> {
    this.stop();
    const meter = new Meter(this.#job, this.#sockets);
    const start = performance.now();
    const errors = await openCrowd(this.#job, this.#sockets);
    const seconds = (performance.now() - start) / 1000;
    return { values: { seconds, ...meter.per(this.#job.connections) }, errors };
  }

  stop(): void {
    for (const socket of this.#sockets.splice(0)) socket.destroy();
  }
}
