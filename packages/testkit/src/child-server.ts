// Runs the built command as a separate process, for tests that kill it or run it in another network.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

const BASE = {
  PORT: '0',
  HOST: '127.0.0.1',
  LOG_FORMAT: 'json',
  SQLITE_DB_PATH: ':memory:',
  // All clients of a test have one address.
  MAX_LOAD_PER_ADDRESS: '0',
  MAX_SOCKETS_PER_ADDRESS: '5000',
};

export interface ChildServer {
  url: string;
  wsUrl: string;
  pid: number;
  /** Resolves when the process has ended, to its exit code, or to the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
  signal(name: NodeJS.Signals): void;
  /** Kills it at once, without cleanup. */
  kill(): Promise<void>;
  /** The value of a metric without labels, or with exactly these labels. */
  metric(name: string): Promise<number>;
}

/** Updates the build; call it before the first {@link startChild} of a file. */
export function build(): void {
  execFileSync(process.execPath, [`${ROOT}node_modules/typescript/bin/tsc`, '-b'], { cwd: ROOT });
}

/**
 * Starts `couplet serve --sqlite` on a free port, and kills it when the test ends.
 *
 * @param env - settings, added to those of a test server; the environment of the test itself is ignored
 * @param prefix - the command in front of it, such as `ip netns exec …`
 */
export async function startChild(
  env: Record<string, string>,
  prefix: readonly string[] = [],
): Promise<ChildServer> {
  const main = [process.execPath, `${ROOT}packages/server/dist/main.js`, 'serve', '--sqlite'];
  const [program, ...args] = [...prefix, ...main] as [string, ...string[]];
  const child = spawn(program, args, {
    env: { ...BASE, PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
  const kill = () => killed(child, exited);
  onTestFinished(kill);
  const errors: Buffer[] = [];
  child.stderr.on('data', (chunk) => errors.push(chunk));
  const lines = createInterface(child.stdout);
  for await (const line of lines) {
    const url = /listening on (http:[^"]+)/.exec(line)?.[1];
    if (url === undefined) continue;
    child.stdout.resume();
    return {
      url,
      wsUrl: url.replace('http', 'ws'),
      pid: child.pid as number,
      exited,
      signal: (name) => void child.kill(name),
      kill,
      metric: async (name) => {
        const text = await (await fetch(`${url}/metrics`)).text();
        const value = text.split('\n').find((shown) => shown.startsWith(`${name} `));
        return Number(value?.slice(name.length + 1));
      },
    };
  }
  throw new Error(`the server did not start: ${Buffer.concat(errors)}`);
}

async function killed(child: ChildProcess, exited: Promise<unknown>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  await exited;
}
