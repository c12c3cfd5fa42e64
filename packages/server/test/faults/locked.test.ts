// A database that another process has locked: writes are refused, signaling continues, and the server recovers.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { call, createPending, someCode, someDevice } from '@couplet/testkit/api';
import { startChild } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { eventually } from '@couplet/testkit/eventually';
import { exchangeMessages, pairOfPeers } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';

/** Holds the write lock of a database until it is released. */
async function lock(file: string): Promise<{ release(): Promise<void> }> {
  const shell = spawn('sqlite3', [file], { stdio: ['pipe', 'pipe', 'inherit'] });
  onTestFinished(() => void shell.kill('SIGKILL'));
  shell.stdin.write("BEGIN IMMEDIATE;\nSELECT 'locked';\n");
  await once(shell.stdout, 'data');
  return {
    async release() {
      const exit = once(shell, 'exit');
      shell.stdin.end('COMMIT;\n');
      await exit;
    },
  };
}

/** If each of forty writes had its own busy timeout of 250 ms on the event loop, a message would wait for 10 s. */
const MAX_STALL_MS = 8000;

describeWith(['sqlite3'], 'a database locked by another process', () => {
  const folder = temporaryFolder();

  test('answers writes 503, does not delay a healthy pair, and recovers', async ({ annotate }) => {
    const file = join(folder, 'chat.db');
    const { url, wsUrl } = await startChild({ SQLITE_DB_PATH: file });
    const waiting = await createPending(url);
    const pair = await pairOfPeers(wsUrl, 'healthy');
    const held = await lock(file);

    const exchange = exchangeMessages(pair);
    for (let n = 0; n < 3; n++) {
      const answers = await Promise.all(
        Array.from({ length: 40 }, () => {
          const body = { joinid: someCode(), client1: someDevice(), expiresInSeconds: 60 };
          return call(url, 'POST', '/api/rooms', body);
        }),
      );
      for (const { status, body, headers } of answers) {
        expect([status, body?.error]).toEqual([503, 'unavailable']);
        expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
      }
    }
    await eventually(async () => expect((await call(url, 'GET', '/readyz')).status).toBe(503));
    const check = { joinid: waiting.joinid, client1: waiting.client1 };
    expect((await call(url, 'POST', '/api/rooms/check', check)).status).toBe(204);
    await exchange.stop();
    const worstMs = exchange.worstMs();
    await annotate(`locked database: worst forwarding latency ${worstMs.toFixed(0)} ms`);
    expect(worstMs).toBeLessThan(MAX_STALL_MS);

    await held.release();
    const accept = { joinid: waiting.joinid, client2: someDevice() };
    expect((await call(url, 'POST', '/api/rooms/accept', accept)).status).toBe(200);
    await eventually(async () => expect((await call(url, 'GET', '/readyz')).status).toBe(200));
  });
});
