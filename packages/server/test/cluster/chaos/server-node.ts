// Runs the built command as a process that can be killed, paused, ended and started again.
import { type ChildProcess, spawn } from 'node:child_process';
import { appendFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { leash } from '@couplet/testkit/leash';
import type { World } from './world.js';

const MAIN = fileURLToPath(new URL('../../../dist/main.js', import.meta.url));

/** Time allowed for a start on a busy machine. */
const START_MS = 30_000;

export class ServerNode {
  readonly number: number;
  /** Where it listens, or last listened. */
  url = 'http://127.0.0.1:9';
  /** Text of each warning and error in its log → count, over all its starts. */
  readonly logged: Record<string, number> = {};
  readonly #env: Record<string, string>;
  readonly #logPath: string;
  #world: World | undefined;
  #child: ChildProcess | undefined;
  #gone: Promise<string> = Promise.resolve('never started');
  #ending = false;

  /** @param logPath - a file for its output, with the time of the history; empty: none */
  constructor(number: number, env: Record<string, string>, logPath = '') {
    this.number = number;
    this.#logPath = logPath;
    this.#env = env;
  }

  /** Records crashes and leaks in the history of this world. */
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

  /** Ends it at once, also while it is paused. */
  async kill(): Promise<void> {
    this.#ending = true;
    this.#child?.kill('SIGKILL');
    await this.#gone;
  }

  /** Shuts it down, as a rolling restart does. Resolves to its exit code or signal. */
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
