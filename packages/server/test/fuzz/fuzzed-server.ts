// Runs the real command in a separate process beside a healthy pair, and observes its output, state and leaks.
//
// In a separate process, because a crash or an unhandled rejection must end the server and not the test, and because its
// heap and handles must not include the fuzzer's.
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));
const MAIN = path('../../dist/main.js');

export interface Measure {
  heapBytes: number;
  /** Active resources of the event loop: the number of each kind. */
  handles: Record<string, number | undefined>;
}

export interface Neighborhood {
  exchanged: number;
  worstMs: number;
  fault?: string;
}

export interface FuzzedServer {
  url: string;
  wsUrl: string;
  port: number;
  /** Heap after collection, and handles. */
  measure(): Promise<Measure>;
  /** The state of the healthy pair. */
  neighbors(): Promise<Neighborhood>;
  /** Everything written to its error output, and every log line of level error. */
  complaints(): string;
  /** The exit code if it ended by itself; null while it runs. */
  readonly exitCode: number | null;
  /** Sends SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
}

/** Limits set out of reach of the fuzz, because each would hide the code behind it. */
export const RAISED_LIMITS = {
  // Each X-Forwarded-For is a separate address, because the limit of failed guesses per address is not configurable.
  TRUST_PROXY: '1',
  MAX_FAILED_GUESSES_PER_MINUTE: '1000000',
  MAX_CONNECTIONS_PER_ADDRESS: '1000000',
  MAX_SOCKETS_PER_ADDRESS: '1000000',
  MAX_LOAD_PER_ADDRESS: '0',
  // The frames over the limit need this.
  MAX_MESSAGE_BYTES: '65536',
  MAX_MESSAGES_PER_SECOND: '10000000',
  MAX_BYTES_PER_SECOND: '10000000000',
  MAX_PENDINGS_PER_DEVICE: '1000000',
  MAX_PENDINGS_PER_ADDRESS: '1000000',
  REQUEST_TIMEOUT_SECONDS: '1',
};

/** Starts the built server on a free port with a new database. */
export async function startFuzzedServer(env: Record<string, string> = {}): Promise<FuzzedServer> {
  if (!existsSync(MAIN)) throw new Error('the server is not built: npm run build');
  const folder = mkdtempSync(join(tmpdir(), 'couplet-fuzz-'));
  let complaints = '';
  const child = fork(MAIN, ['serve'], {
    cwd: folder,
    execArgv: ['--expose-gc', '--import', path('./probe.js')],
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      HOST: '127.0.0.1',
      USE_SQLITE: '1',
      SQLITE_DB_PATH: join(folder, 'chat.db'),
      LOG_LEVEL: 'info',
      ...env,
    },
    silent: true,
  });
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.stderr?.on('data', (text) => {
    complaints += text;
  });
  const port = await new Promise<number>((resolve, reject) => {
    let rest = '';
    child.stdout?.on('data', (text) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const listening = /listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(line);
        if (listening) resolve(Number(listening[1]));
        if (/"level":[56]0/.test(line)) complaints += `${line}\n`;
      }
    });
    void exited.then(() => reject(new Error(`no start: ${complaints}`)));
  });
  const stop = async () => {
    const pairGone = once(pair, 'exit');
    pair.disconnect();
    await pairGone;
    child.kill('SIGTERM');
    const code = await exited;
    rmSync(folder, { recursive: true, force: true });
    return code;
  };
  let stopped: Promise<number | null> | undefined;
  const wsUrl = `ws://127.0.0.1:${port}`;
  const pair = fork(path('./neighbor.js'), [wsUrl], { execArgv: [] });
  await once(pair, 'message');
  return {
    url: `http://127.0.0.1:${port}`,
    wsUrl,
    port,
    measure: () => ask<Measure>(child),
    neighbors: () => ask<Neighborhood>(pair),
    complaints: () => complaints,
    get exitCode() {
      return child.exitCode;
    },
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}

async function ask<T>(child: ChildProcess): Promise<T> {
  if (!child.connected) throw new Error('the process is gone');
  const answered = once(child, 'message');
  child.send('tell');
  const [answer] = await answered;
  return answer as T;
}
