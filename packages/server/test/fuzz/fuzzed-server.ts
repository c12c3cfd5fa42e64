// The real command in a process of its own, with a healthy pair beside it: what it says, keeps and leaks is seen from outside.
//
// Not in this process: a crash or an unhandled rejection must end the server and not the test, and its heap and handles
// must be its own, not the fuzzer's.
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
  /** Active resources of the event loop: how many of each kind. */
  handles: Record<string, number | undefined>;
}

export interface Neighbourhood {
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
  /** How the healthy pair is doing. */
  neighbours(): Promise<Neighbourhood>;
  /** Everything it wrote to its error output, and every log line of level error. */
  complaints(): string;
  /** The exit code once it is gone by itself; null while it lives. */
  readonly exitCode: number | null;
  /** SIGTERM; resolves to its exit code. */
  stop(): Promise<number | null>;
}

/** Limits out of the way of the fuzz: each would otherwise hide what lies behind it. */
export const RAISED_LIMITS = {
  // Each X-Forwarded-For is an address of its own: failed guesses are counted by address, and that is not to be configured.
  TRUST_PROXY: '1',
  MAX_FAILED_GUESSES_PER_MINUTE: '1000000',
  MAX_CONNECTIONS_PER_ADDRESS: '1000000',
  MAX_SOCKETS_PER_ADDRESS: '1000000',
  MAX_LOAD_PER_ADDRESS: '0',
  // What the frames over the cap are made for.
  MAX_MESSAGE_BYTES: '65536',
  MAX_MESSAGES_PER_SECOND: '10000000',
  MAX_BYTES_PER_SECOND: '10000000000',
  MAX_PENDINGS_PER_DEVICE: '1000000',
  MAX_PENDINGS_PER_ADDRESS: '1000000',
  REQUEST_TIMEOUT_SECONDS: '1',
};

/** Starts the built server on a free port with a database of its own. */
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
  const pair = fork(path('./neighbour.js'), [wsUrl], { execArgv: [] });
  await once(pair, 'message');
  return {
    url: `http://127.0.0.1:${port}`,
    wsUrl,
    port,
    measure: () => ask<Measure>(child),
    neighbours: () => ask<Neighbourhood>(pair),
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
