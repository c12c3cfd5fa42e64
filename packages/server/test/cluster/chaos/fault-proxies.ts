// Opens, cuts and mends the proxies between the nodes and Redis, which run in a separate process.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Cut } from './schedule.js';

const SCRIPT = fileURLToPath(new URL('./proxy-process.js', import.meta.url));

/** A port on loopback that leads to another, until it is cut. */
export interface FaultProxy {
  readonly port: number;
  /** Rewrites the ports of other servers in the answers of Redis, from the next connection on. */
  translate(ports: Readonly<Record<string, string>>): Promise<unknown>;
  cut(how: Cut): Promise<unknown>;
  mend(): Promise<unknown>;
}

export class FaultProxies {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (result: number) => void>();
  #orders = 0;

  constructor() {
    this.#child = fork(SCRIPT, { execArgv: [] });
    this.#child.on('message', ({ id, result }: { id: number; result: number }) => {
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    });
  }

  /** @param target - the port on loopback that it leads to */
  async open(target: number): Promise<FaultProxy> {
    const port = await this.#order('open', target);
    return {
      port,
      translate: (ports) => this.#order('translate', port, ports),
      cut: (how) => this.#order('cut', port, how),
      mend: () => this.#order('mend', port),
    };
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  #order(order: 'open' | 'translate' | 'cut' | 'mend', ...args: unknown[]): Promise<number> {
    const id = ++this.#orders;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, order, args });
    });
  }
}
