// A database that another process has locked: writes are refused, signaling continues, and the server recovers.
import { join } from 'node:path';
import { call, createPending, someCode, someDevice } from '@couplet/testkit/api';
import { startChild } from '@couplet/testkit/child-server';
import { eventually } from '@couplet/testkit/eventually';
import { exchangeMessages, pairOfPeers } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { DatabaseSync } from '@photostructure/sqlite';
import { expect, onTestFinished, test } from 'vitest';

/** If each of forty writes had its own busy timeout of 250 ms, the last answer, and perhaps a message, would wait for 10 s. */
const MAX_WAIT_MS = 8000;

test('a database locked by another process answers the writes of a group 503 together, does not delay a healthy pair, and recovers', async ({
  annotate,
}) => {
  const file = join(temporaryFolder(), 'chat.db');
  const { url, wsUrl } = await startChild({ SQLITE_DB_PATH: file });
  const waiting = await createPending(url);
  const pair = await pairOfPeers(wsUrl, 'healthy');
  const other = new DatabaseSync(file);
  onTestFinished(() => other.close());
  other.exec('BEGIN IMMEDIATE');

  const exchange = exchangeMessages(pair);
  for (let n = 0; n < 3; n++) {
    const start = performance.now();
    const answers = await Promise.all(
      Array.from({ length: 40 }, () => {
        const body = { joinid: someCode(), client1: someDevice(), expiresInSeconds: 60 };
        return call(url, 'POST', '/api/rooms', body);
      }),
    );
    expect(performance.now() - start).toBeLessThan(MAX_WAIT_MS);
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
  expect(worstMs).toBeLessThan(MAX_WAIT_MS);

  other.exec('COMMIT');
  const accept = { joinid: waiting.joinid, client2: someDevice() };
  expect((await call(url, 'POST', '/api/rooms/accept', accept)).status).toBe(200);
  await eventually(async () => expect((await call(url, 'GET', '/readyz')).status).toBe(200));
});
