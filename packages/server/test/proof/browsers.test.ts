// End-to-end test: two Chromium processes with only the server's URL pair by a code and use a data channel.
import { launchBrowser, openDevice } from '@couplet/testkit/browser';
import { startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { plain, plainSite } from '../support/plain-page.js';

describeWith(['chromium'], 'two browsers with only the URL of the server', () => {
  const folder = temporaryFolder();
  const browsers: Browser[] = [];
  // The page has another origin than the server, so its requests depend on CORS.
  const site = plainSite();
  beforeAll(async () => {
    for (const _ of ['host', 'guest']) browsers.push(await launchBrowser());
  });
  afterAll(async () => {
    await Promise.all(browsers.map((browser) => browser.close()));
    await site.close();
  });

  test.each(['host', 'guest'] as const)(
    'two devices pair and communicate peer to peer; the %s joins the room first',
    async (first) => {
      const server = await startCommand(['serve', '--sqlite'], {
        cwd: folder,
        env: { SQLITE_DB_PATH: ':memory:' },
      }).listening;
      const host = await openDevice(browsers[0], await site.url);
      const guest = await openDevice(browsers[1], await site.url);

      const joinCode = await plain<string>(host, 'makeCode', server, host.id);
      expect(joinCode).toMatch(/^[0-9]{6}$/);
      const asked = host.page.waitForRequest((request) => request.url().endsWith('/check'));
      const hostsRoom = plain<string>(host, 'waitForGuest', server, joinCode, host.id);
      await asked;
      const guestsRoom = await plain(guest, 'enterCode', server, joinCode, guest.id);
      const roomId = await hostsRoom;
      expect(guestsRoom).toBe(roomId);
      expect(host.requests.filter((path) => path === '/api/rooms/check')).toHaveLength(1);

      const [earlier, later] = first === 'host' ? [host, guest] : [guest, host];
      await plain(earlier, 'enterRoom', server, roomId, earlier.id);
      await expect.poll(() => earlier.received.map(({ type }) => type)).toContain('room_joined');
      await plain(later, 'enterRoom', server, roomId, later.id);
      await Promise.all([plain(host, 'opened'), plain(guest, 'opened')]);

      // The device that created the code makes the only offer, also if it comes later.
      const offersOf = ({ sent }: typeof host) =>
        sent.filter(({ type }) => type === 'webrtc_offer').length;
      expect([offersOf(host), offersOf(guest)]).toEqual([1, 0]);
      for (const [from, to] of [
        [host, guest],
        [guest, host],
      ] as const) {
        await plain(from, 'sendText', `hello from ${from.id}`);
        expect(await plain(to, 'text')).toBe(`hello from ${from.id}`);
      }
    },
  );
});
