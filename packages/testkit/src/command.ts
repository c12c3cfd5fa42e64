// Runs the built command `couplet` as a child process, and reports its output, its exit and its address.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const MAIN = fileURLToPath(new URL('../../server/dist/main.js', import.meta.url));

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

export interface Command {
  child: ChildProcess;
  /** Resolves to `http://127.0.0.1:port` once it listens; rejects with its output if it ends before. */
  listening: Promise<string>;
  ended: Promise<Ended>;
  /** Its standard output so far. */
  output(): string;
  /** Kills it at once. */
  kill(): Promise<void>;
}

export interface Surroundings {
  /** Its working directory; by default that of the test. */
  cwd?: string;
  /** Added to an environment without any setting. */
  env?: Record<string, string>;
  /** The program; by default the build of this checkout. */
  main?: string;
  /** The Node.js that runs it; by default that of the test. */
  node?: string;
  /** The command in front of it, such as `['ip', 'netns', 'exec', name]`. */
  prefix?: readonly string[];
}

/** Starts the command on a free loopback port; it is killed when the test ends. */
export function startCommand(args: readonly string[], surroundings: Surroundings): Command {
  const command = spawnCommand(args, surroundings);
  onTestFinished(() => command.kill());
  return command;
}

/** Starts the command on a free loopback port. The caller kills it. */
export function spawnCommand(args: readonly string[], surroundings: Surroundings): Command {
  const { cwd, env, main = MAIN, node = process.execPath, prefix = [] } = surroundings;
  const [program = '', ...rest] = [...prefix, node, main, ...args];
  const child = spawn(program, rest, {
    cwd,
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(([code]) => ({ code, stdout, stderr }));
  const listening = new Promise<string>((resolve, reject) => {
    let isListening = false;
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
      if (isListening) return;
      const address = /listening on (http:\/\/[^\s"]+)/.exec(stdout)?.[1];
      if (address === undefined) return;
      isListening = true;
      resolve(address);
    });
    ended.then(({ code }) => reject(new Error(`ended with ${code}: ${stdout}${stderr}`)), reject);
  });
  // Only a test that awaits this gets the error.
  listening.catch(() => {});
  const kill = async () => {
    child.kill('SIGKILL');
    await ended;
  };
  return { child, listening, ended, output: () => stdout, kill };
}

/** Runs the command until it ends. */
export const runCommand = (args: readonly string[], surroundings: Surroundings): Promise<Ended> =>
  startCommand(args, surroundings).ended;
