// One server of the fleet: the built command as a process, which is killed, paused, ended and started again.
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { leash } from '@couplet/testkit/leash';
import type { World } from './world.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

/** For a start on a machine that is busy. */
const START_MS = 30_000;

export class ServerNode {
  readonly number: number;
  /** Where it listens, or last did: clients do not know better. */
  url = 'http://127.0.0.1:9';
  /** How many lines of each level it has logged, over all its lives: warn, error, fatal. */
  readonly logged: Record<string, number> = {};
  readonly #env: Record<string, string>;
  readonly #logPath: string;
  #world: World | undefined;
  #child: ChildProcess | undefined;
  #gone: Promise<string> = Promise.resolve('never started');
  #ending = false;

  /** @param logPath - file for its output, with the time of the history; empty: none */
  constructor(number: number, env: Record<string, string>, logPath = '') {
    this.number = number;
    this.#logPath = logPath;
    this.#env = env;
  }

  /** Whose history learns of what it should not do. */
  observe(world: World): void {
    this.#world = world;
  }

  /** Resolves when it listens. */
  async start(): Promise<void> {
    this.#ending = false;
    const child = spawn(process.execPath, [MAIN, 'serve'], {
      env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...this.#env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    leash(child);
    this.#gone = new Promise((resolve) => {
      child.once('exit', (code, signal) => {
        const how = `${code ?? signal}`;
        if (!this.#ending) this.#world?.history.add({ kind: 'died', node: this.number, how });
        resolve(how);
      });
    });
    let said = '';
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`no start: ${said}`)), START_MS);
      void this.#gone.then((how) => reject(new Error(`ended with ${how}: ${said}`)));
      const read = (line: string) => {
        if (said.length < 4000) said += `${line}\n`;
        this.#search(line);
        const url = /listening on (http:[^"\s]+)/.exec(line)?.[1];
        if (url === undefined) return;
        this.url = url;
        clearTimeout(timer);
        resolve();
      };
      createInterface(child.stdout).on('line', read);
      createInterface(child.stderr).on('line', read);
    });
  }

  /** Ends it at once, paused or not. */
  async kill(): Promise<void> {
    this.#ending = true;
    this.#child?.kill('SIGKILL');
    await this.#gone;
  }

  /** Asks it to end, as a rolling restart does. Resolves to how it ended. */
  async stop(): Promise<string> {
    this.#ending = true;
    this.#child?.kill('SIGTERM');
    return this.#gone;
  }

  pause(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  #search(line: string): void {
    if (this.#logPath !== '') {
      appendFileSync(this.#logPath, `${(performance.now() / 1000).toFixed(3)} ${line}\n`);
    }
    if (this.#world?.secrets.isIn(line)) {
      this.#world.history.add({ kind: 'leaked', node: this.number, line });
    }
    const level = /"level":([456]0)/.exec(line)?.[1];
    if (level === undefined) return;
    const words = `${{ 40: 'warn', 50: 'error', 60: 'fatal' }[level]} ${/"msg":"([^"]*)/.exec(line)?.[1]}`;
    this.logged[words] = (this.logged[words] ?? 0) + 1;
  }
}
