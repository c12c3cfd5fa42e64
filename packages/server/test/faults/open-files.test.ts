// A process without free file descriptors logs and counts it and continues. A stalled process penalizes no client.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { startChild } from '@couplet/testkit/child-server';
import { eventually } from '@couplet/testkit/eventually';
import { pairOfPeers } from '@couplet/testkit/peer';
import { describe, expect, onTestFinished, test } from 'vitest';
import { filesForSockets, openFilesLimit } from '../../src/http/sockets.js';

test('a limit that cannot be read counts as none; of a high limit, 64 files are reserved for the database and the log', () => {
  expect(openFilesLimit('/nowhere')).toBeUndefined();
  expect(filesForSockets(20_000)).toBe(19_936);
});

describe.runIf(process.platform === 'linux')('with 100 open files', () => {
  /** Starts the server under `ulimit -n 100`. */
  const limited = (env: Record<string, string> = {}) =>
    startChild(env, ['sh', '-c', 'ulimit -n 100; exec "$@"', 'sh']);

  const linesWith = (output: string, text: string) =>
    output.split('\n').filter((line) => line.includes(text));

  const opened = (url: string): Socket => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', () => {}).resume();
    onTestFinished(() => void socket.destroy());
    return socket;
  };

  test('a start logs that MAX_SOCKETS is more than the process may open, with advice; in production as a warning', async () => {
    const { output } = await limited({ PRODUCTION: '1' });
    expect(linesWith(output(), 'MAX_SOCKETS')).toEqual([
      expect.stringMatching(/"level":40.*"openFiles":100,.*MAX_SOCKETS is more .*ulimit -n/),
    ]);
    const trial = await limited();
    expect(linesWith(trial.output(), 'MAX_SOCKETS')).toEqual([
      expect.stringMatching(/"level":30.*"openFiles":100,.*fewer connections than MAX_SOCKETS/),
    ]);
    const fitting = await limited({ MAX_SOCKETS: '50' });
    expect(linesWith(fitting.output(), 'MAX_SOCKETS')).toEqual([]);
  });

  test('connections beyond the limit are refused, counted and logged once, and the server continues', async () => {
    const { url, output, metric } = await limited();
    const sockets = Array.from({ length: 60 }, () => opened(url));
    await Promise.all(sockets.slice(50).map((socket) => once(socket, 'close')));
    for (const socket of sockets) socket.destroy();
    await expect.poll(async () => (await fetch(`${url}/healthz`)).status).toBe(200);
    const refused = await metric('couplet_sockets_refused_total{cause="open_files"}');
    expect(refused).toBeGreaterThanOrEqual(10);
    // The log and the answers arrive over different pipes.
    await eventually(() => expect(linesWith(output(), 'out of file descriptors')).toHaveLength(1));
  });
});

describe.runIf(process.platform !== 'win32')('a stalled server', () => {
  test('warns and closes no connection for messages that were sent at the allowed rate meanwhile', async () => {
    const child = await startChild({ MAX_MESSAGES_PER_SECOND: '20', MAX_LOAD_PER_ADDRESS: '250' });
    const [a, b] = await pairOfPeers(child.wsUrl, 'stalled');
    child.signal('SIGSTOP');
    const stoppedAt = performance.now();
    let sent = 0;
    // Real time, because a real process is stalled. 10 s at the allowed rate would otherwise close a connection.
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const due = ((performance.now() - stoppedAt) / 1000) * 20;
        while (sent < due) a.send({ type: 'ice_candidate', candidate: { candidate: `${sent++}` } });
        if (sent < 200) return;
        clearInterval(timer);
        resolve();
      }, 50);
    });
    child.signal('SIGCONT');
    for (let n = 0; n < sent; n++) {
      expect((await b.next('ice_candidate')).candidate).toEqual({ candidate: `${n}` });
    }
    expect(await a.sync()).toEqual([]);
  });
});
