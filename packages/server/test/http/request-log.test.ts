// Log lines and ids of requests (docs/operations.md, "Logs"). proof/log-privacy.test.ts has the content of the lines.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { Peer } from '@couplet/testkit/peer';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { captureLog } from '../support/captured-log.js';
import { RawSocket, request } from '../support/raw-http.js';

async function loggedServer(env: Record<string, string> = {}) {
  const { log, lines } = captureLog();
  return { ...(await serverForTest(env, { log })), lines };
}

test('the lines per minute of each address are limited, for requests and connections together', async () => {
  const { url, wsUrl, lines } = await loggedServer({
    MAX_LOG_LINES_PER_ADDRESS: '10',
    TRUST_PROXY: '1',
  });
  const from = (address: string) =>
    fetch(`${url}/none`, { headers: { 'x-forwarded-for': address } });
  for (let n = 0; n < 8; n++) await from('192.0.2.1');
  for (let n = 0; n < 8; n++) {
    const peer = await Peer.connect(wsUrl, { headers: { 'x-forwarded-for': '192.0.2.1' } });
    await peer.join(`room ${n}`);
    await peer.close();
  }
  await from('192.0.2.2');
  const caused = () =>
    lines().filter(({ msg }) => /^(request|connected|room joined|disconnected)$/.test(String(msg)));
  await expect.poll(caused).toHaveLength(11);
  expect(JSON.stringify(lines())).not.toContain('192.0.2');
});

test('every answer has its id, which is never the id of the client', async () => {
  const { url } = await loggedServer();
  const headers = { 'x-request-id': 'mine', 'request-id': 'mine' };
  const seen = new Set<string | null>();
  for (const path of ['/', '/nowhere', '/api/rooms']) {
    seen.add((await fetch(url + path, { headers })).headers.get('x-request-id'));
  }
  expect(seen.size).toBe(3);
  for (const id of seen) expect(id).toMatch(/^[0-9a-f]{6}-/);
});

test('a client that disconnects during its body causes neither an error nor a line for its request', async () => {
  const { url, app, close, lines } = await loggedServer();
  const raw = new RawSocket(Number(new URL(url).port));
  const arrived = once(app.server, 'request');
  await raw.write(request('POST /api/rooms', { 'content-length': 99 }, '{'));
  const [, response] = (await arrived) as [IncomingMessage, ServerResponse];
  const over = once(response, 'close');
  raw.socket.resetAndDestroy();
  await over;
  await close();
  expect(lines().filter(({ level, route }) => level >= 40 || route)).toEqual([]);
});
