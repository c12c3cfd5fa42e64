// Tests the WebSocket check: each refusal of the upgrade by a proxy, and its advice.
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { webSocketCheck } from '../src/checks/web-socket.js';
import { siteAt } from '../src/site.js';

test.each([
  [401, /asks for a login/],
  [403, /asks for a login/],
  [404, /path \//],
  [418, /proxy_set_header Upgrade/],
  [502, /cannot reach it/],
])('an upgrade answered %d', async (status, advice) => {
  const front = createServer();
  front.on('upgrade', (_request, socket) =>
    socket.end(`HTTP/1.1 ${status} No\r\ncontent-length: 0\r\n\r\n`),
  );
  front.listen(0, '127.0.0.1');
  await once(front, 'listening');
  onTestFinished(() => void front.close());
  const site = siteAt(`http://127.0.0.1:${(front.address() as AddressInfo).port}`);
  const finding = await webSocketCheck.run(site, new AbortController().signal);
  expect(finding).toMatchObject({
    status: 'failed',
    detail: `the upgrade on / was answered ${status} instead of 101`,
    advice: expect.stringMatching(advice),
  });
});
