// The proxies between the nodes and Redis: opened, cut and mended from here, at work in a process of their own.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Cut } from './schedule.js';

const SCRIPT = fileURLToPath(new URL('./proxy-process.js', import.meta.url));

type Order =
  | { open: number }
  | { translate: number; ports: Ports }
  | { cut: number; how: Cut }
  | { mend: number };

/** Ports as Redis tells them, and what is told in their place. */
type Ports = Readonly<Record<string, string>>;

/** A port on loopback that leads to another, until it is cut. */
export interface FaultProxy {
  readonly port: number;
  /** Rewrites where another server is in the answers of Redis, from the next connection on. */
  translate(ports: Ports): Promise<void>;
  cut(how: Cut): Promise<void>;
  mend(): Promise<void>;
}

interface Answer {
  id: number;
  port?: number;
}

export class FaultProxies {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, (answer: Answer) => void>();
  #orders = 0;

  constructor() {
    this.#child = fork(SCRIPT, { execArgv: [] });
    this.#child.on('message', (message: Answer) => {
      this.#waiting.get(message.id)?.(message);
      this.#waiting.delete(message.id);
    });
  }

  /** @param target - the port on loopback that it leads to */
  async open(target: number): Promise<FaultProxy> {
    const { port = 0 } = await this.#order({ open: target });
    return {
      port,
      translate: async (ports) => void (await this.#order({ translate: port, ports })),
      cut: async (how) => void (await this.#order({ cut: port, how })),
      mend: async () => void (await this.#order({ mend: port })),
    };
  }

  async close(): Promise<void> {
    const gone = once(this.#child, 'exit');
    this.#child.disconnect();
    await gone;
  }

  #order(order: Order): Promise<Answer> {
    const id = ++this.#orders;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#child.send({ id, ...order });
    });
  }
}
