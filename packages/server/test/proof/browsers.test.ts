// End-to-end test: two Chromium processes with only the server's URL pair by a code and use a data channel.
import { readFileSync } from 'node:fs';
import {
  type Device,
  type Frame,
  launchBrowser,
  openDevice,
  servePage,
} from '@couplet/testkit/browser';
import { startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { temporaryFolder } from '@couplet/testkit/server';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';

const CLIENT = readFileSync(new URL('client.js', import.meta.url));
const PAGE = `<!doctype html>
<script type="module">import * as client from './client.js'; window.client = client;</script>`;

interface Room {
  sendText(text: string): void;
  close(): void;
}

/** Globals of the page: client.js as `client`, and the state of this test. */
interface ClientWindow {
  client: {
    makeCode(server: string, deviceId: string): Promise<string>;
    waitForGuest(server: string, joinCode: string, deviceId: string): Promise<string>;
    enterCode(server: string, joinCode: string, deviceId: string): Promise<string>;
    enterRoom(
      server: string,
      roomId: string,
      deviceId: string,
      on: { onText(text: string): void; onOpen(): void },
    ): Room;
  };
  room: Room;
  opened: Promise<void>;
  text: Promise<string>;
}

describeWith(['chromium'], 'two browsers with only the URL of the server', () => {
  const folder = temporaryFolder();
  const browsers: Browser[] = [];
  // The page has another origin than the server, so its requests depend on CORS.
  const site = servePage(PAGE, { '/client.js': CLIENT });
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

      const joinCode = await host.page.evaluate(
        ([url, id]) => (window as unknown as ClientWindow).client.makeCode(url, id),
        [server, host.id] as const,
      );
      expect(joinCode).toMatch(/^[0-9]{6}$/);
      const asked = host.page.waitForRequest((request) => request.url().endsWith('/check'));
      const hostsRoom = host.page.evaluate(
        ([url, code, id]) => (window as unknown as ClientWindow).client.waitForGuest(url, code, id),
        [server, joinCode, host.id] as const,
      );
      await asked;
      const guestsRoom = await guest.page.evaluate(
        ([url, code, id]) => (window as unknown as ClientWindow).client.enterCode(url, code, id),
        [server, joinCode, guest.id] as const,
      );
      const roomId = await hostsRoom;
      expect(roomId).toMatch(/^[0-9a-f]{48}$/);
      expect(guestsRoom).toBe(roomId);
      expect(host.requests.filter((path) => path === '/api/rooms/check')).toHaveLength(1);

      const [earlier, later] = first === 'host' ? [host, guest] : [guest, host];
      await enterRoom(earlier, server, roomId);
      await expect.poll(() => typesOf(earlier.received)).toContain('room_joined');
      await enterRoom(later, server, roomId);
      for (const { page } of [host, guest]) {
        await page.evaluate(() => (window as unknown as ClientWindow).opened);
      }

      // The last candidate is null, and all others arrived before it.
      for (const { received } of [host, guest]) {
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
        await from.page.evaluate(
          (id) => (window as unknown as ClientWindow).room.sendText(`hello from ${id}`),
          from.id,
        );
        expect(await to.page.evaluate(() => (window as unknown as ClientWindow).text)).toBe(
          `hello from ${from.id}`,
        );
      }
    },
    60_000,
  );
});

/** Joins the room and stores the results in the page. */
async function enterRoom(device: Device, server: string, roomId: string): Promise<void> {
  await device.page.evaluate(
    ([url, room, id]) => {
      const page = window as unknown as ClientWindow;
      let onText: (text: string) => void = () => {};
      let onOpen: () => void = () => {};
      page.text = new Promise((resolve) => {
        onText = resolve;
      });
      page.opened = new Promise((resolve) => {
        onOpen = resolve;
      });
      page.room = page.client.enterRoom(url, room, id, { onText, onOpen });
    },
    [server, roomId, device.id] as const,
  );
}

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
