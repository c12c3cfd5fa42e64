// Forwards at a fixed rate: measures the latency of messages, and of the slowest, below the server's capacity.
import { setTimeout as sleep } from 'node:timers/promises';
import { Histogram } from '../figures/histogram.js';
import type { Load, Measured, OpenForwardJob } from './job.js';
import { Meter } from './nodes.js';
import { Pace } from './pace.js';
import { faultsOf, type Member, openPairs } from './pairs.js';

const WARM_UP_MS = 600;
/** How long the test waits for late messages; later ones are lost. */
const DRAIN_MS = 1000;

/**
 * Values, in milliseconds: `p50`, `p99`, `p999`, `max`; `lateP99`, how late the generator itself was with its sends; per message, with what
 * they use at rest, `serverMicroseconds`, `redisMicroseconds`, `bytesFromClients` and `bytesToClients`.
 */
export class OpenForwardLoad implements Load {
  readonly #job: OpenForwardJob;
  readonly #latency = new Histogram();
  readonly #late = new Histogram();
  readonly #pace: Pace;
  #members: Member[] = [];
  /** Per member: the send time of each message on its way to it. Messages arrive in that order. */
  #sentAt: number[][] = [];
  #next = 0;
  #sent = 0;
  #received = 0;

  constructor(job: OpenForwardJob) {
    this.#job = job;
    this.#pace = new Pace(job.messagesPerSecond, (late) => this.#sendNext(late));
  }

  async prepare(): Promise<void> {
    this.#members = await openPairs(this.#job, 1);
    this.#sentAt = this.#members.map(() => []);
    for (const [n, { socket }] of this.#members.entries()) {
      const sentAt = this.#sentAt[n] as number[];
      socket.onTexts = (texts) => this.#receive(sentAt, texts);
      socket.onClose = () => {};
    }
    await this.measure(WARM_UP_MS / 1000);
  }

  async measure(seconds: number): Promise<Measured> {
    for (const sentAt of this.#sentAt) sentAt.length = 0;
    this.#latency.reset();
    this.#late.reset();
    this.#sent = 0;
    this.#received = 0;
    const faultsBefore = faultsOf(this.#members);
    const sockets = this.#members.map(({ socket }) => socket);
    const meter = new Meter(this.#job, sockets);
    this.#pace.start();
    await sleep(seconds * 1000);
    this.#pace.stop();
    const deadline = performance.now() + DRAIN_MS;
    while (this.#received < this.#sent && performance.now() < deadline) await sleep(5);
    const { p50, p99, p999, max } = this.#latency.summary();
    return {
      values: {
        p50,
        p99,
        p999,
        max,
        lateP99: this.#late.percentile(0.99),
        sent: this.#sent,
        ...meter.per(this.#sent),
      },
      errors: this.#sent - this.#received + faultsOf(this.#members) - faultsBefore,
    };
  }

  stop(): void {
    this.#pace.stop();
    for (const { socket } of this.#members) socket.destroy();
  }

  #sendNext(lateMs: number): void {
    // One of each pair in turn, then the others of each pair.
    const { pairs } = this.#job;
    const turn = this.#next++;
    const n = (turn % pairs) * 2 + (Math.floor(turn / pairs) % 2);
    const { socket, frames } = this.#members[n] as Member;
    (this.#sentAt[n ^ 1] as number[]).push(performance.now());
    this.#late.add(lateMs);
    this.#sent += 1;
    socket.send(frames);
  }

  #receive(sentAt: number[], texts: number): void {
    const now = performance.now();
    for (let n = 0; n < texts; n++) {
      const at = sentAt.shift();
      if (at === undefined) continue;
      this.#latency.add(now - at);
      this.#received += 1;
    }
  }
}
