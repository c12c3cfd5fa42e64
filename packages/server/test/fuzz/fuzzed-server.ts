// Runs the built command in a separate process beside a healthy pair, and observes its output, state and leaks.
//
// In a separate process, because a crash or an unhandled rejection must end the server and not the test, and because its
// heap and handles must not include the fuzzer's.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { spawnCommand } from '@couplet/testkit/command';
import { eventually } from '@couplet/testkit/eventually';
import { leash } from '@couplet/testkit/leash';
import { exchangeMessages, pairOfOpenPeers } from '@couplet/testkit/peer';

export interface Measure {
  heapBytes: number;
  /** Active resources of the event loop: the number of each kind. */
  handles: Record<string, number | undefined>;
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
export async function startFuzzedServer() {
  const folder = mkdtempSync(join(tmpdir(), 'couplet-fuzz-'));
  const { child, listening, ended, output } = spawnCommand(['serve'], {
    cwd: folder,
    env: {
      NODE_OPTIONS: `--import ${new URL('./probe.js', import.meta.url)}`,
      USE_SQLITE: '1',
      SQLITE_DB_PATH: join(folder, 'chat.db'),
      ...RAISED_LIMITS,
    },
  });
  leash(child);
  const url = await listening;
  const wsUrl = url.replace('http', 'ws');
  const pair = await pairOfOpenPeers(wsUrl, 'neighbors');
  const neighbors = exchangeMessages(pair);
  const stop = async () => {
    await neighbors.stop().finally(() => Promise.all(pair.map((peer) => peer.close())));
    child.kill('SIGTERM');
    const { code, stdout, stderr } = await ended;
    rmSync(folder, { recursive: true, force: true });
    return { code, complaints: stderr + (stdout.match(/^.*"level":[56]0.*$/gm) ?? []).join('\n') };
  };
  let stopped: ReturnType<typeof stop> | undefined;
  return {
    url,
    wsUrl,
    port: Number(new URL(url).port),
    /** The messages of a healthy pair. */
    neighbors,
    /** Heap after collection, and handles. */
    async measure(): Promise<Measure> {
      const written = output().length;
      child.kill('SIGUSR2');
      return eventually(() => {
        const [, measure] = /^measure: (.*)\n/m.exec(output().slice(written)) ?? [];
        if (measure === undefined) throw new Error('not measured yet');
        return JSON.parse(measure) as Measure;
      });
    },
    /** Sends SIGTERM; resolves to the exit code, its error output and its log lines of level error. */
    stop() {
      stopped ??= stop();
      return stopped;
    },
  };
}
