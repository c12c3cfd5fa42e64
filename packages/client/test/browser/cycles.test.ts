// Tests that fifty opened and closed sessions leave nothing in the browsers or on the server.

import { call } from '@couplet/testkit/api';
import type { Device } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { parseMetrics } from '@couplet/testkit/prometheus';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import type { PeerSession } from '../../src/index.js';
import { type ClientPage, deviceOpener, inPage } from '../support/client-page.js';

const SESSIONS = 50;
const AT_ONCE = 5;

interface CyclingPage extends ClientPage {
  opening: Promise<PeerSession[]>;
  sessions: PeerSession[];
}

describeWith(['chromium'], 'fifty sessions made and closed', () => {
  const open = deviceOpener();

  test('leave no connection, socket, timer or listener in either page, and nothing on the server', async () => {
    const { url } = await serverForTest();
    const [host, guest] = [await open(), await open()];
    const before = await remains(host);
    for (let made = 0; made < SESSIONS; made += 2 * AT_ONCE) {
      await cycle(url, host, guest);
      await cycle(url, guest, host);
    }
    for (const device of [host, guest]) {
      await expect.poll(() => remains(device)).toEqual(before);
    }
    await expect
      .poll(async () => (await call(url, 'GET', '/rooms')).body)
      .toMatchObject({ totalRooms: 0 });
    const scrape = async () => parseMetrics(await (await fetch(`${url}/metrics`)).text());
    await expect.poll(async () => (await scrape()).value('couplet_connections')).toBe(0);
    expect((await scrape()).value('couplet_connections_opened_total')).toBe(2 * SESSIONS);
    expect((await scrape()).value('couplet_live_rooms')).toBe(0);
  });
});

/** Opens, uses and closes several sessions at once. The first device closes them first. */
async function cycle(url: string, first: Device, second: Device): Promise<void> {
  const codes = await inPage(
    first,
    async (window, { url, sessions }) => {
      const page = window as CyclingPage;
      const invites = await Promise.all(
        Array.from({ length: sessions }, () => new page.Couplet({ url }).invite()),
      );
      page.opening = Promise.all(invites.map(({ accepted }) => accepted));
      return invites.map(({ code }) => code);
    },
    { url, sessions: AT_ONCE },
  );
  await inPage(
    second,
    async (window, { url, codes }) => {
      const page = window as CyclingPage;
      page.opening = Promise.all(codes.map((code) => new page.Couplet({ url }).accept(code)));
      for (const session of await page.opening) session.send('hi');
    },
    { url, codes },
  );
  for (const device of [first, second]) {
    await inPage(device, async (window) => {
      const page = window as CyclingPage;
      for (const session of await page.opening) session.close();
      page.opening = Promise.resolve([]);
    });
  }
}

/** Counts the objects of the page that a session could leave behind, as Chromium does. */
async function remains({ page }: Device): Promise<Record<string, number>> {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('Performance.enable');
  await devtools.send('HeapProfiler.collectGarbage');
  const { metrics } = await devtools.send('Performance.getMetrics');
  await devtools.detach();
  const counted = ['RTCPeerConnections', 'JSEventListeners', 'ContextLifecycleStateObservers'];
  return Object.fromEntries(
    metrics.filter(({ name }) => counted.includes(name)).map(({ name, value }) => [name, value]),
  );
}
