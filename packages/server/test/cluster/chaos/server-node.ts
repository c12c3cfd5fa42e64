// Runs the built command as a process that can be killed, paused, ended and started again.
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Command, spawnCommand } from '@couplet/testkit/command';
import { leash } from '@couplet/testkit/leash';
import { CHAOS_HISTORY, SERVER_SETTINGS } from './settings.js';
import type { World } from './world.js';

export class ServerNode {
  readonly number: number;
  /** Where it listens, or last listened. */
  url = 'http://127.0.0.1:9';
  /** Its crashes and leaks are recorded here. */
  world: World | undefined;
  /** Text of each warning and error in its log → count, over all its starts. */
  readonly logged: Record<string, number> = {};
  readonly #env: Record<string, string>;
  #command: Command | undefined;
  #gone: Promise<string> = Promise.resolve('never started');
  #isEnding = false;

  constructor(number: number, env: Record<string, string>) {
    this.number = number;
    this.#env = env;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    this.#isEnding = false;
    const command = spawnCommand(['serve'], { env: { ...SERVER_SETTINGS, ...this.#env } });
    this.#command = command;
    const { child } = command;
    leash(child);
    this.#gone = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const how = `${code ?? signal}`;
        if (!this.#isEnding) this.world?.record({ kind: 'died', node: this.number, how });
        resolve(how);
      });
    });
    for (const input of [child.stdout, child.stderr]) {
      if (input) createInterface(input).on('line', (line) => this.#search(line));
    }
    this.url = await command.listening;
  }

  /** Ends it at once, also while it is paused. */
  kill(): Promise<string> {
    return this.#end('SIGKILL');
  }

  /** Shuts it down, as a rolling restart does. Resolves to its exit code or signal. */
  stop(): Promise<string> {
    return this.#end('SIGTERM');
  }

  signal(signal: NodeJS.Signals): void {
    this.#command?.child.kill(signal);
  }

  #end(signal: NodeJS.Signals): Promise<string> {
    this.#isEnding = true;
    this.signal(signal);
    return this.#gone;
  }

  #search(line: string): void {
    if (CHAOS_HISTORY !== '') {
      const path = `${CHAOS_HISTORY}.node-${this.number}.log`;
      appendFileSync(path, `${(performance.now() / 1000).toFixed(3)} ${line}\n`);
    }
    if (this.world?.leaks(line)) this.world.record({ kind: 'leaked', node: this.number, line });
    const [, level] = /"level":([456]0)/.exec(line) ?? [];
    if (level === undefined) return;
    const words = `level ${level} ${/"msg":"([^"]*)/.exec(line)?.[1]}`;
    this.logged[words] = (this.logged[words] ?? 0) + 1;
  }
}
