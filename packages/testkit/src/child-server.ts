// Runs the built server as a separate process, for tests that kill it or run it in another network.
import { once } from 'node:events';
import { startCommand } from './command.js';

const BASE = {
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
  /** Its output so far. */
  output(): string;
  /** Resolves when the process has ended, to its exit code, or to the signal that ended it. */
  exited: Promise<number | NodeJS.Signals>;
  signal(name: NodeJS.Signals): void;
  /** Kills it at once, without cleanup. */
  kill(): Promise<void>;
  /** The value of a metric without labels, or with exactly these labels. */
  metric(name: string): Promise<number>;
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
  const { child, listening, output, kill } = startCommand(['serve', '--sqlite'], {
    env: { ...BASE, ...env },
    prefix,
  });
  const exited = once(child, 'exit').then(([code, signal]) => code ?? signal);
  const url = await listening;
  return {
    url,
    wsUrl: url.replace('http', 'ws'),
    pid: child.pid as number,
    output,
    exited,
    signal: (name) => void child.kill(name),
    kill,
    metric: (name) => readMetric(url, name),
  };
}

/** The value of a metric without labels, or with exactly these labels; NaN if there is none. */
export async function readMetric(url: string, name: string): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const line = text.split('\n').find((shown) => shown.startsWith(`${name} `));
  return Number(line?.slice(name.length + 1));
}
