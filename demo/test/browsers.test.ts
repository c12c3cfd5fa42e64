// Tests the whole demo, and with it the client, between Firefox and Chromium: each way to pair and each activity once.
import { join } from 'node:path';
import { startChild } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { freePort } from '@couplet/testkit/coturn';
import { temporaryFolder } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import {
  compare,
  enterCode,
  expectMessage,
  expectPicture,
  expectTrust,
  inSession,
  makeInvite,
  makePlainInvite,
  startSite,
  useBrowser,
  useFirefox,
  type Visitor,
  visit,
  write,
} from './support/visitor.js';

const FILE_BYTES = 20_000_000;

describeWith(['chromium', 'firefox-esr'], 'the demo in Firefox and Chromium', () => {
  useBrowser();
  useFirefox();

  const open = {
    chromium: (url: string) => visit(url, { permissions: ['camera', 'microphone'] }),
    firefox: (url: string) => visit(url, { engine: 'firefox' }),
  };

  test.each([
    ['firefox', 'chromium', 'a code without verification', makePlainInvite],
    ['chromium', 'firefox', 'a verified code', makeInvite],
  ] as const)('%s invites %s with %s', async (inviting, joining, _kind, make) => {
    const database = join(temporaryFolder(), 'couplet.db');
    // A port that no other process gets while the server is down.
    const port = String(await freePort());
    const start = () => startChild({ SQLITE_DB_PATH: database, PORT: port });
    const server = await start();
    const [host, guest] = [await open[inviting](server.url), await open[joining](server.url)];
    await enterCode(guest, (await make(host)).code);
    await inSession(host, guest);
    const both = [host, guest] as const;
    await talk(...both, 'At once');
    const buffer = Buffer.alloc(FILE_BYTES, 'The same, again and again. ');
    await host.page.setInputFiles('#file-input', {
      ...{ name: 'large.bin', mimeType: 'application/octet-stream', buffer },
    });
    await guest.page.getByText('Received intact.', { exact: true }).waitFor({ state: 'attached' });

    for (const { tab } of both) await tab('Call').click();
    await host.button('Start with camera').click();
    await guest.button('Answer with camera').click();
    for (const visitor of both) await expectPicture(visitor, '#remote-video');
    await guest.button('Hang up').click();
    await host.page.getByText('Nobody is calling.').waitFor();

    for (const { page, tab } of both) {
      await tab('Connection').click();
      await expect.poll(() => page.locator('tr.used').count()).toBe(2);
    }
    await server.kill();
    await expectServer('Not connected; the devices stay connected without it', both);
    await talk(...both, 'Without the server');
    await start();
    await expectServer('Connected; both devices are in the room', both);

    await guest.page.reload();
    await inSession(guest);
    await talk(...both, 'After a reload');
    const isVerified = make === makeInvite;
    await expectTrust(isVerified ? 'Verified' : 'Not verified', ...both);
    if (!isVerified) await compare(host, guest);
  });

  test('the connection test works in Firefox', async () => {
    const { url } = await startSite();
    const { page, button } = await visit(url, { path: '/demo/#test', engine: 'firefox' });
    await button('Start the test').click();
    await page.getByText('Done.').waitFor();
    const verdicts = await page.locator('#test-steps .verdict').allInnerTexts();
    expect(verdicts.slice(0, 3)).toEqual(Array(3).fill(expect.stringMatching(/^works/)));
  });
});

/** Sends a message each way. */
async function talk(host: Visitor, guest: Visitor, text: string): Promise<void> {
  for (const [from, to] of [
    [host, guest],
    [guest, host],
  ] as const) {
    await from.tab('Chat').click();
    await write(from, text);
    await expectMessage(to, `Other device: ${text}`);
  }
}

/** Expects this state of the connection to the server. */
async function expectServer(words: string, visitors: readonly Visitor[]): Promise<void> {
  for (const { page } of visitors) {
    await expect.poll(() => page.locator('#fact-signaling').textContent()).toBe(words);
  }
}
