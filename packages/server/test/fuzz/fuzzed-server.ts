// Runs the built command in a separate process beside a healthy pair, and observes its output, state and leaks.
//
// In a separate process, because a crash or an unhandled rejection must end the server and not the test, and because its
// heap and handles must not include the fuzzer's.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Exchange, exchangeMessages, pairOfOpenPeers } from '@couplet/testkit/peer';

const path = (relative: string) => fileURLToPath(new URL(relative, import.meta.url));

export interface Measure {
  heapBytes: number;
  /** Active resources of the event loop: the number of each kind. */
  handles: Record<string, number | undefined>;
}

export interface FuzzedServer {
  url: string;
  wsUrl: string;
  port: number;
  /** The messages of a healthy pair. */
  neighbors: Exchange;
  /** Heap after collection, and handles. */
  measure(): Promise<Measure>;
  /** Everything written to its error output, and every log line of level error. */
  complaints(): string;
  /** The exit code if it ended by itself; null while it runs. */
  readonly exitCode: number | null;
  /** Sends SIGTERM; resolves to the exit code. */
  stop(): Promise<number | null>;
}

/** Limits set out of reach of the fuzz, because each would hide the code behind it. */
const RAISED_LIMITS = {
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

/** Starts the built server on a free port with a new database, and a healthy pair. */
export async function startFuzzedServer(): Promise<FuzzedServer> {
  const folder = mkdtempSync(join(tmpdir(), 'couplet-fuzz-'));
  let complaints = '';
  const child = fork(path('../../dist/main.js'), ['serve'], {
    cwd: folder,
    execArgv: ['--expose-gc', '--import', path('./probe.js')],
    env: {
      PATH: process.env.PATH,
      PORT: '0',
      HOST: '127.0.0.1',
      USE_SQLITE: '1',
      SQLITE_DB_PATH: join(folder, 'chat.db'),
      LOG_LEVEL: 'info',
      ...RAISED_LIMITS,
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
  const wsUrl = `ws://127.0.0.1:${port}`;
  const pair = await pairOfOpenPeers(wsUrl, 'neighbors');
  const neighbors = exchangeMessages(pair);
  const stop = async () => {
    await neighbors.stop().finally(() => Promise.all(pair.map((peer) => peer.close())));
    child.kill('SIGTERM');
    const code = await exited;
    rmSync(folder, { recursive: true, force: true });
    return code;
  };
  let stopped: Promise<number | null> | undefined;
  return {
    url: `http://127.0.0.1:${port}`,
    wsUrl,
    port,
    neighbors,
    async measure() {
      const answered = once(child, 'message');
      child.send('tell');
      return (await answered)[0] as Measure;
    },
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
