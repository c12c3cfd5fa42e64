// Many clients that pair, as fast as each gets its answers or at a fixed rate of flows.
import { setTimeout as sleep } from 'node:timers/promises';
import { Histogram } from '../figures/histogram.js';
import { HttpSocket } from './http-socket.js';
import type { Load, Measured, PairingJob } from './job.js';
import { Meter, portFor } from './nodes.js';
import { Pace } from './pace.js';
import { FLOWS, PairingClient } from './pairing-client.js';

const WARM_UP_MS = 1000;
/** Time for the running flows to end. */
const DRAIN_MS = 30_000;

/**
 * Values: `flowsPerSecond`, `requestsPerSecond`; in milliseconds `flowP50`, `flowP99`, `requestP50`, `requestP99`; per flow
 * `serverMicroseconds`, `redisMicroseconds`, `bytesFromClients` and `bytesToClients`. In a cluster the second device is at another node than the first.
 */
export class PairingLoad implements Load {
  readonly #job: PairingJob;
  readonly #flowTimes = new Histogram();
  readonly #requestTimes = new Histogram();
  readonly #pace: Pace | undefined;
  #sockets: HttpSocket[] = [];
  #idle: PairingClient[] = [];
  #clients = 0;
  #running = false;
  #flow = 0;
  #faults = 0;

  constructor(job: PairingJob) {
    this.#job = job;
    const { flowsPerSecond } = job;
    this.#pace = flowsPerSecond > 0 ? new Pace(flowsPerSecond, () => this.#startOne()) : undefined;
  }

  async prepare(): Promise<void> {
    const { port, clients, flow } = this.#job;
    const seats = this.#job.cluster?.place === 'apart' ? [0, 1] : [0];
    const sockets = await Promise.all(
      Array.from({ length: clients }, (_, n) =>
        Promise.all(seats.map((seat) => HttpSocket.open(portFor(this.#job, n, seat), 1))),
      ),
    );
    this.#sockets = sockets.flat(2);
    this.#clients = clients;
    this.#idle = sockets.map(
      (devices, n) =>
        new PairingClient(devices.flat(), FLOWS[flow](port, n), {
          onAnswer: (ms) => this.#requestTimes.add(ms),
          onFlow: (client, ms) => this.#ended(client, ms),
          onFault: (fault) => this.#fault(fault),
        }),
    );
    await this.measure(WARM_UP_MS / 1000);
  }

  async measure(seconds: number): Promise<Measured> {
    this.#flowTimes.reset();
    this.#requestTimes.reset();
    this.#faults = 0;
    this.#running = true;
    const startedAt = performance.now();
    const meter = new Meter(this.#job, this.#sockets);
    if (this.#pace) this.#pace.start();
    else for (const client of this.#idle.splice(0)) client.start(this.#flow++);
    await sleep(seconds * 1000);
    // A short trial on a slow machine also measures a flow.
    while (this.#flowTimes.count + this.#faults === 0) await sleep(5);
    const elapsed = (performance.now() - startedAt) / 1000;
    const values = {
      flowsPerSecond: this.#flowTimes.count / elapsed,
      requestsPerSecond: this.#requestTimes.count / elapsed,
      flowP50: this.#flowTimes.percentile(0.5),
      flowP99: this.#flowTimes.percentile(0.99),
      requestP50: this.#requestTimes.percentile(0.5),
      requestP99: this.#requestTimes.percentile(0.99),
      ...meter.per(this.#flowTimes.count),
    };
    this.#running = false;
    this.#pace?.stop();
    const deadline = performance.now() + DRAIN_MS;
    while (this.#idle.length < this.#clients && performance.now() < deadline) await sleep(5);
    return { values, errors: this.#faults + this.#clients - this.#idle.length };
  }

  stop(): void {
    this.#running = false;
    this.#pace?.stop();
    for (const socket of this.#sockets) socket.destroy();
  }

  /**
   * In an open loop, starts the next flow when due. If every client is busy, the server is too slow; the rate shows it. The
   * client that has waited longest is next: the server closes a connection without a request after some seconds.
   */
  #startOne(): void {
    this.#idle.shift()?.start(this.#flow++);
  }

  #ended(client: PairingClient, ms: number): void {
    this.#flowTimes.add(ms);
    if (this.#running && this.#pace === undefined) client.start(this.#flow++);
    else this.#idle.push(client);
  }

  #fault(fault: string): void {
    this.#faults += 1;
    if (this.#faults === 1) process.stderr.write(`pairing: ${fault}\n`);
  }
}
