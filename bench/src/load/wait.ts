// Thousands of checks held by `Prefer: wait`: measures their cost at rest, and the time from an accept to their answer.
import { setTimeout as sleep } from 'node:timers/promises';
import { Histogram } from '../figures/histogram.js';
import { cpuMilliseconds } from '../figures/process-usage.js';
import { acceptRequest, addressOf, checkRequest, createRequest } from '../wire/pairing-requests.js';
import { HttpSocket } from './http-socket.js';
import type { Load, Measured, WaitJob } from './job.js';

/** Connections that create and accept; each held check has its own. */
const HANDS = 32;
const WAIT_SECONDS = 30;
/** Accepts sent one at a time, before the rest is sent in parallel over all connections. */
const LONE_SHARE = 0.1;
/** Time for the answers to arrive after all accepts. */
const DRAIN_MS = 2000;

/** Values: `idleCpu` and `heldCpu` in ms per second, before and while the checks are held; `loneP50`, `loneP99`, `crowdP50`, `crowdP99`. */
export class WaitLoad implements Load {
  readonly #job: WaitJob;
  #hands: HttpSocket[] = [];
  #waiting: HttpSocket[] = [];
  #nextCode = 0;

  constructor(job: WaitJob) {
    this.#job = job;
  }

  async prepare(): Promise<void> {
    const { port, checks } = this.#job;
    this.#hands = await HttpSocket.open(port, HANDS);
    this.#waiting = await HttpSocket.open(port, checks);
    // A connection without any request is not kept for long.
    const hello = Buffer.from('GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n');
    await Promise.all(this.#waiting.map((socket) => socket.ask(hello)));
  }

  async measure(seconds: number): Promise<Measured> {
    const { port, checks } = this.#job;
    const first = this.#nextCode;
    this.#nextCode += checks;
    const create = await this.#byAllHands(checks, first, createRequest, 201);
    const idleCpu = await this.#cpuAtRest(seconds);

    const acceptedAt: number[] = [];
    const lone = new Histogram();
    const crowd = new Histogram();
    const loneOnes = Math.floor(checks * LONE_SHARE);
    let wrong = 0;
    const fault = (what: string) => {
      wrong += 1;
      if (wrong === 1) process.stderr.write(`wait: ${what}\n`);
    };
    for (const [n, socket] of this.#waiting.entries()) {
      socket.onAnswer = (status) => {
        if (status !== 200 || acceptedAt[n] === undefined) fault(`${status} to a held check`);
        else (n < loneOnes ? lone : crowd).add(performance.now() - acceptedAt[n]);
      };
      socket.onClose = () => fault('a connection was closed');
      // One template each, because bytes that are being written must not change.
      socket.send(checkRequest(port, addressOf(n), WAIT_SECONDS).fill(first + n, first + n));
    }
    const heldCpu = await this.#cpuAtRest(seconds);

    const note = (n: number) => {
      acceptedAt[n] = performance.now();
    };
    const accepts = await this.#byHands(1, 0, loneOnes, first, acceptRequest, 200, note);
    const others = await this.#byHands(HANDS, loneOnes, checks, first, acceptRequest, 200, note);
    const deadline = performance.now() + DRAIN_MS;
    const answered = () => lone.count + crowd.count + wrong;
    while (answered() < checks && performance.now() < deadline) await sleep(5);
    return {
      values: {
        idleCpu,
        heldCpu,
        loneP50: lone.percentile(0.5),
        loneP99: lone.percentile(0.99),
        crowdP50: crowd.percentile(0.5),
        crowdP99: crowd.percentile(0.99),
      },
      errors: create + accepts + others + wrong + checks - answered(),
    };
  }

  stop(): void {
    for (const socket of [...this.#hands, ...this.#waiting]) socket.destroy();
  }

  /** CPU time of the server per second, once it is at rest. */
  async #cpuAtRest(seconds: number): Promise<number> {
    const used = async (forSeconds: number) => {
      const before = cpuMilliseconds(this.#job.pid) ?? Number.NaN;
      await sleep(forSeconds * 1000);
      return ((cpuMilliseconds(this.#job.pid) ?? Number.NaN) - before) / forSeconds;
    };
    // At rest: two tenths of a second in a row with hardly any CPU time; if that is unknown, after one second.
    for (let calm = 0, tries = 0; calm < 2 && tries < 50; tries++) {
      const busy = await used(0.1);
      calm = busy < 50 || (Number.isNaN(busy) && tries > 8) ? calm + 1 : 0;
    }
    return used(seconds);
  }

  #byAllHands(count: number, first: number, make: typeof createRequest, right: number) {
    return this.#byHands(HANDS, 0, count, first, make, right, () => {});
  }

  /** Sends the requests `from`–`to` in sequence per connection; resolves to the number of wrong answers. */
  async #byHands(
    hands: number,
    from: number,
    to: number,
    first: number,
    make: (port: number, headers: string) => ReturnType<typeof createRequest>,
    right: number,
    before: (n: number) => void,
  ): Promise<number> {
    let next = from;
    let wrong = 0;
    const work = async (hand: HttpSocket, index: number) => {
      const request = make(this.#job.port, addressOf(index));
      while (next < to) {
        const n = next++;
        before(n);
        const status = await hand.ask(request.fill(first + n, first + n));
        if (status !== right) wrong += 1;
      }
    };
    await Promise.all(this.#hands.slice(0, hands).map(work));
    return wrong;
  }
}
