// End-to-end test: two Chromium processes with only the server's URL pair by a code and use a data channel.
import { type Device, type Frame, launchBrowser, openDevice } from '@couplet/testkit/browser';
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
      expect(roomId).toMatch(/^[0-9a-f]{48}$/);
      expect(guestsRoom).toBe(roomId);
      expect(host.requests.filter((path) => path === '/api/rooms/check')).toHaveLength(1);

      const [earlier, later] = first === 'host' ? [host, guest] : [guest, host];
      await plain(earlier, 'enterRoom', server, roomId, earlier.id);
      await expect.poll(() => typesOf(earlier.received)).toContain('room_joined');
      await plain(later, 'enterRoom', server, roomId, later.id);
      await Promise.all([plain(host, 'opened'), plain(guest, 'opened')]);

      // The last candidate is null, and all others arrived before it. The test hears of a frame sent by one browser and
      // received by the other over two connections, so either report may come first.
      for (const { sent, received } of [host, guest]) {
        await expect.poll(() => candidatesOf(sent)).toContain(null);
        await expect.poll(() => candidatesOf(received)).toContain(null);
      }
      // There is exactly one initiator, always the device that created the code.
      expect(rolesOf(host)).toEqual([true]);
      expect(rolesOf(guest)).toEqual([false]);
      expect(roleOnArrival(host)).toBe(true);
      expect(roleOnArrival(guest)).toBe(false);
      expectHandshake(host, guest);

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

const typesOf = (frames: Frame[]) => frames.map(({ type }) => type);

const candidatesOf = (frames: Frame[]) =>
  frames.filter(({ type }) => type === 'ice_candidate').map(({ candidate }) => candidate);

const rolesOf = ({ received }: Device) =>
  received.filter(({ type }) => type === 'room_ready').map(({ isInitiator }) => isInitiator);

const roleOnArrival = ({ received }: Device) =>
  received.find(({ type }) => type === 'room_joined')?.isInitiator;

/** Expects one offer, one answer in the other direction, and candidates in both directions, none of them in the descriptions. */
function expectHandshake(offerer: Device, answerer: Device): void {
  const ofType = (frames: Frame[], type: string) => frames.filter((frame) => frame.type === type);
  expect(ofType(offerer.sent, 'webrtc_offer')).toHaveLength(1);
  expect(ofType(answerer.sent, 'webrtc_offer')).toHaveLength(0);
  expect(ofType(offerer.sent, 'webrtc_answer')).toHaveLength(0);
  expect(ofType(answerer.sent, 'webrtc_answer')).toHaveLength(1);
  for (const [from, to, description] of [
    [offerer, answerer, 'webrtc_offer'],
    [answerer, offerer, 'webrtc_answer'],
  ] as const) {
    const [sent] = ofType(from.sent, description);
    const [received] = ofType(to.received, description);
    expect(sent?.sdp).not.toContain('a=candidate');
    expect(received?.sdp).toBe(sent?.sdp);
    const trickled = candidatesOf(to.received);
    expect(trickled).toContainEqual(
      expect.objectContaining({
        candidate: expect.stringMatching(/^candidate:/),
        sdpMLineIndex: 0,
        sdpMid: '0',
      }),
    );
    expect(trickled).toEqual(candidatesOf(from.sent));
  }
}
