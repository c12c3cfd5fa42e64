// Tests the key exchange on real connections in Chromium.

import { launchBrowser, openDevice, servePage } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { startServer } from '@couplet/testkit/server';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type * as client from '../../src/index.js';
import { scripts } from '../support/client-page.js';

const PAGE = `<!doctype html>
<script type="importmap">
  { "imports": { "@couplet/client": "/client/index.js", "@couplet/protocol": "/protocol/index.js" } }
</script>
<script type="module">import * as client from '@couplet/client'; window.client = client;</script>`;

describeWith(['chromium'], 'keys between two real connections', () => {
  let browser: Browser;
  let site: ReturnType<typeof servePage>;
  beforeAll(async () => {
    site = servePage(PAGE, scripts());
    browser = await launchBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await site.close();
  });

  test('both get the same digits before and after an ICE restart, and sent data drains', async () => {
    const server = await startServer();
    const { page } = await openDevice(browser, await site.url);
    const result = await page.evaluate(async (url) => {
      const { Couplet, exchangeKeys } = (window as unknown as { client: typeof client }).client;
      const invite = await new Couplet({ url }).invite();
      const guest = await new Couplet({ url }).accept(invite.code);
      const sessions = [await invite.accepted, guest] as const;
      const digits = async () => {
        const keys = await Promise.all(sessions.map((session) => exchangeKeys(session)));
        return keys.map(({ sas }) => sas);
      };
      const before = await digits();
      const peers = sessions.map(({ peer }) => peer);
      const user = () => /ice-ufrag:(.*)/.exec(guest.peer?.remoteDescription?.sdp ?? '')?.[1];
      const first = user();
      sessions[0].restartIce();
      while (user() === first) await new Promise((resolve) => setTimeout(resolve, 20));
      const after = await digits();
      const kept = sessions.every(({ peer }, n) => peer === peers[n]);

      let received = 0;
      const all = new Promise<void>((resolve) =>
        guest.on('message', (data) => {
          received += (data as ArrayBuffer).byteLength;
          if (received === 400 * 65_536) resolve();
        }),
      );
      let most = 0;
      for (let n = 0; n < 400; n++) {
        await sessions[0].drained();
        sessions[0].send(new Uint8Array(65_536));
        most = Math.max(most, sessions[0].channel?.bufferedAmount ?? 0);
      }
      await all;
      let refused = '';
      try {
        sessions[0].send(new Uint8Array(sessions[0].maxMessageBytes + 1));
      } catch (error) {
        refused = (error as client.CoupletError).code;
      }
      try {
        for (;;) sessions[0].send(new Uint8Array(262_144));
      } catch (error) {
        refused += ` ${(error as client.CoupletError).code}`;
      }
      for (const session of sessions) session.close();
      return { before, after, kept, most, refused };
    }, server.url);
    await server.close();
    expect(result.before[0]).toBe(result.before[1]);
    expect(result.after[0]).toBe(result.after[1]);
    expect(result.kept).toBe(true);
    expect(result.most).toBeLessThanOrEqual(1024 * 1024 + 65_536);
    expect(result.refused).toBe('too_large buffer_full');
  }, 60_000);
});
