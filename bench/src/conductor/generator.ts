// The conductor's side of a load generator.
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { Job, Measurement, Order, Report } from '../load/job.js';
import { pidsOf } from '../load/nodes.js';
import { end, startNode } from './children.js';

const PROGRAM = fileURLToPath(new URL('../load/generator.js', import.meta.url));

/** Maximum time for an order, in addition to the seconds that it asks for. */
const PATIENCE_MS = 60_000;

export class Generator {
  readonly #child: ChildProcess;
  #serverPids: readonly number[];

  private constructor(serverPids: readonly number[]) {
    this.#serverPids = serverPids;
    this.#child = startNode([PROGRAM], { core: 'load', output: 'inherit' });
  }

  /** Starts a generator that is ready to measure. */
  static async prepare(job: Job): Promise<Generator> {
    const generator = new Generator(pidsOf(job));
    try {
      await generator.#give({ order: 'prepare', job }, 0);
      return generator;
    } catch (error) {
      await generator.stop();
      throw error;
    }
  }

  /** Tells it that the server was restarted. */
  serverIsNow(pid: number): void {
    this.#serverPids = [pid];
  }

  async measure(seconds: number): Promise<Measurement> {
    const order: Order = { order: 'measure', seconds, serverPids: this.#serverPids };
    const report = await this.#give(order, seconds);
    if (report.report !== 'measured') throw new Error(`the generator said ${report.report}`);
    return report.measurement;
  }

  async stop(): Promise<void> {
    await end(this.#child);
  }

  #give(order: Order, seconds: number): Promise<Report> {
    const child = this.#child;
    return new Promise<Report>((resolve, reject) => {
      const timer = setTimeout(settle, PATIENCE_MS + seconds * 1000, 'it took too long');
      function settle(outcome: Report | string | number | null) {
        clearTimeout(timer);
        child.off('message', settle);
        child.off('exit', settle);
        if (typeof outcome === 'object' && outcome !== null && outcome.report !== 'failed') {
          resolve(outcome);
        } else {
          const reason = typeof outcome === 'object' ? outcome?.reason : outcome;
          reject(new Error(`load generator, ${order.order}: ${reason}`));
        }
      }
      child.on('message', settle);
      child.on('exit', settle);
      child.send(order);
    });
  }
}
