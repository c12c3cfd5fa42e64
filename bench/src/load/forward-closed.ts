// Forwards in a closed loop: a client that receives messages sends as many back, so the server is never idle.
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClosedForwardJob, Load, Measured } from './job.js';
import { Meter } from './nodes.js';
import { faultsOf, type Member, openPairs } from './pairs.js';

const WARM_UP_MS = 600;
/** Time between two measurements, to warm up and to let messages in flight arrive. */
const SETTLE_MS = 120;
const DRAIN_MS = 40;

/** Values: `messagesPerSecond`; `serverMicroseconds`, the server's CPU time per message beyond what it uses at rest; `redisMicroseconds`. */
export class ClosedForwardLoad implements Load {
  readonly #job: ClosedForwardJob;
  #members: Member[] = [];
  #running = false;
  #forwarded = 0;
  #next = 0;
  #faults = 0;

  constructor(job: ClosedForwardJob) {
    this.#job = job;
  }

  async prepare(): Promise<void> {
    const { inFlight, hop } = this.#job;
    this.#members = await openPairs(this.#job, hop ? 1 : inFlight);
    for (const member of this.#members) {
      member.socket.onTexts = hop
        ? (texts) => this.#answerElsewhere(texts)
        : (texts) => this.#answer(member, texts);
      member.socket.onClose = () => {
        this.#faults += 1;
      };
    }
    await this.#run(() => sleep(WARM_UP_MS));
  }

  async measure(seconds: number): Promise<Measured> {
    const faultsBefore = this.#faults + faultsOf(this.#members);
    // Many connections also have a cost at rest, their heartbeats, which is not a cost of the messages.
    const atRest = this.#job.hop ? (await this.#cpuShares(seconds)).server : 0;
    let messagesPerSecond = 0;
    let busy = { server: 0, redis: 0 };
    await this.#run(async () => {
      await sleep(SETTLE_MS);
      const before = this.#forwarded;
      const start = performance.now();
      busy = await this.#cpuShares(seconds);
      // A short trial on a slow machine also measures a message.
      while (
        this.#forwarded === before &&
        this.#faults + faultsOf(this.#members) === faultsBefore
      ) {
        await sleep(5);
      }
      messagesPerSecond = ((this.#forwarded - before) * 1000) / (performance.now() - start);
    });
    return {
      values: {
        messagesPerSecond,
        serverMicroseconds: ((busy.server - atRest) * 1e6) / messagesPerSecond,
        redisMicroseconds: (busy.redis * 1e6) / messagesPerSecond,
      },
      errors: this.#faults + faultsOf(this.#members) - faultsBefore,
    };
  }

  stop(): void {
    this.#running = false;
    for (const { socket } of this.#members) socket.destroy();
  }

  /** Cores that server and Redis use in the meantime; NaN if the system does not report it. */
  async #cpuShares(seconds: number): Promise<{ server: number; redis: number }> {
    const meter = new Meter(this.#job);
    const start = performance.now();
    await sleep(seconds * 1000);
    const { serverMicroseconds, redisMicroseconds } = meter.per((performance.now() - start) * 1000);
    return { server: serverMicroseconds, redis: redisMicroseconds };
  }

  async #run(meanwhile: () => Promise<unknown>): Promise<void> {
    const { inFlight, hop } = this.#job;
    this.#running = true;
    if (hop) this.#answerElsewhere(inFlight, 0);
    else {
      for (let n = 0; n < this.#members.length; n += 2) this.#send(this.#members[n], inFlight);
    }
    await meanwhile();
    this.#running = false;
    await sleep(DRAIN_MS);
  }

  #answer(member: Member, texts: number): void {
    this.#forwarded += texts;
    if (this.#running) this.#send(member, texts);
  }

  #answerElsewhere(texts: number, received = texts): void {
    this.#forwarded += received;
    if (!this.#running) return;
    for (let n = 0; n < texts; n++) {
      this.#send(this.#members[this.#next], 1);
      this.#next = (this.#next + 1) % this.#members.length;
    }
  }

  #send(member: Member | undefined, texts: number): void {
    member?.socket.send(member.frames.subarray(0, texts * member.frameBytes));
  }
}
