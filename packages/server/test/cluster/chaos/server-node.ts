// Runs the built command as a process that can be killed, paused, ended and started again.
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { spawnCommand } from '@couplet/testkit/command';
import { leash } from '@couplet/testkit/leash';
import { CHAOS_HISTORY, SERVER_SETTINGS } from './settings.js';
import type { World } from './world.js';

export class ServerNode {
  readonly number: number;
  /** Where it listens, or last listened. */
  url = 'http://127.0.0.1:9';
  readonly #redisUrl: string;
  /** Its crashes and leaks are recorded here. */
  readonly #world: World;
  /** Sends a signal to its process. */
  signal: (signal: NodeJS.Signals) => void = () => {};
  #gone: Promise<unknown> = Promise.resolve();
  #isEnding = false;

  constructor(number: number, redisUrl: string, world: World) {
    this.number = number;
    this.#redisUrl = redisUrl;
    this.#world = world;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    this.#isEnding = false;
    const env = { ...SERVER_SETTINGS, REDIS_URL: this.#redisUrl };
    const { child, listening } = spawnCommand(['serve'], { env });
    leash(child);
    this.signal = (signal) => child.kill(signal);
    this.#gone = new Promise<void>((resolve) => {
      child.once('exit', (code, signal) => {
        const isAsExpected = this.#isEnding && (code === 0 || signal === 'SIGKILL');
        const how = `${code ?? signal}`;
        if (!isAsExpected) this.#world.record({ kind: 'died', node: this.number, how });
        resolve();
      });
    });
    for (const input of [child.stdout, child.stderr]) {
      if (input) createInterface(input).on('line', (line) => this.#search(line));
    }
    this.url = await listening;
  }

  /** Ends it: at once, also while it is paused (`SIGKILL`), or as a rolling restart does (`SIGTERM`). */
  async end(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    this.#isEnding = true;
    this.signal(signal);
    await this.#gone;
  }

  #search(line: string): void {
    if (CHAOS_HISTORY !== '') {
      const path = `${CHAOS_HISTORY}.node-${this.number}.log`;
      appendFileSync(path, `${(performance.now() / 1000).toFixed(3)} ${line}\n`);
    }
    if (this.#world.leaks(line)) this.#world.record({ kind: 'leaked', node: this.number, line });
  }
}
