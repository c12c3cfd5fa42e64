// Tests pairing of two browsers: order of joins, lost answers, and leaving.
import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import {
  accept,
  accepted,
  deviceOpener,
  expectTalk,
  inPage,
  invite,
  pair,
  readies,
  sentOfType,
} from '../support/client-page.js';
import { startFaultProxy } from '../support/fault-proxy.js';

describeWith(['chromium'], 'two browsers with the client', () => {
  const open = deviceOpener();
  const roles = (device: Parameters<typeof readies>[0]) =>
    readies(device).map(({ isInitiator }) => isInitiator);

  test.each([
    ['guest', '/api/rooms/check'],
    ['host', '/api/rooms/accept'],
  ] as const)('the host is the initiator if the %s joins the room first', async (first, held) => {
    const proxy = await startFaultProxy((await serverForTest()).url);
    const [host, guest] = [await open(), await open()];
    const release = proxy.hold(held);
    const options = { url: proxy.url };
    const code = await invite(options, host);
    const both = Promise.all([accepted(host), accept(options, guest, code)]);
    const earlier = first === 'host' ? host : guest;
    await expect.poll(() => earlier.received.map(({ type }) => type)).toContain('room_joined');
    release();
    await both;
    await expectTalk(host, guest);
    // Reports of frames and the state of the page arrive over different connections. One exchange without a collision: only the initiator makes the
    // first offer.
    const offers = () => [host, guest].map((device) => sentOfType(device, 'webrtc_offer').length);
    await expect
      .poll(() => [roles(host), roles(guest), offers()])
      .toEqual([[true], [false], [1, 0]]);
    for (const device of [host, guest]) {
      // If the peer's packets arrive before its candidates, its address is peer-reflexive, which counts as srflx.
      const path = () => inPage(device, ({ session }) => session.path);
      await expect.poll(path).toMatch(/^(host|srflx)$/);
    }
  });

  test.each([
    ['create', '/api/rooms', 1],
    ['accept', '/api/rooms/accept', 3],
    ['check', '/api/rooms/check', 3],
  ])(
    'both devices connect if the answer to %s (%s) is lost %i times',
    async (_name, path, times) => {
      const proxy = await startFaultProxy((await serverForTest()).url);
      const [host, guest] = [await open(), await open()];
      const lost = proxy.loseAnswers(path, times);
      await pair(proxy.url, host, guest);
      expect(lost.statuses).toHaveLength(times);
      expect(new Set(lost.statuses).size).toBe(1);
      const rooms = [host, guest].map((device) =>
        inPage(device, ({ session }) => session.save().roomId),
      );
      expect(await rooms[0]).toBe(await rooms[1]);
      await expectTalk(host, guest);
    },
  );
});
