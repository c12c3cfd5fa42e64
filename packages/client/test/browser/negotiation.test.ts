// Tests two browsers that add tracks and channels to a session, in turn and at once.

import type { Device } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import {
  type ClientPage,
  deviceOpener,
  expectKept,
  expectTalk,
  inPage,
  pair,
  sentOfType,
} from '../support/client-page.js';

describeWith(['chromium'], 'two browsers with more than one channel', () => {
  const open = deviceOpener();
  const paired = async (env: Record<string, string> = {}): Promise<[Device, Device]> => {
    const { url } = await serverForTest(env);
    const both: [Device, Device] = [await open(), await open()];
    await pair(url, ...both);
    return both;
  };
  const got = (device: Device) => inPage(device, ({ tracks, channels }) => ({ tracks, channels }));

  test('both add a track and a channel at once, ten times, and each gets all of them', async () => {
    const [host, guest] = await paired();
    for (let round = 1; round <= 10; round++) {
      await Promise.all([inPage(host, add), inPage(guest, add)]);
      const all = { tracks: Array(round).fill('audio'), channels: Array(round).fill('more') };
      for (const device of [host, guest]) await expect.poll(() => got(device)).toEqual(all);
    }
    for (const device of [host, guest]) {
      expect(await inPage(device, ({ errors }) => errors)).toEqual([]);
      // Both offered, so there was a collision.
      expect(sentOfType(device, 'webrtc_offer').length).toBeGreaterThan(0);
    }
    await expectTalk(host, guest);
    await expectKept(host, guest);
  });

  test.each(['host', 'guest'])(
    'the %s adds too many tracks for the server: one error, and the rest keeps working',
    async (which) => {
      const [host, guest] = await paired({ MAX_MESSAGE_BYTES: '16384' });
      const [from, to] = which === 'host' ? [host, guest] : [guest, host];
      const errors = () => inPage(from, ({ errors }) => errors);
      await inPage(from, add);
      await expect.poll(() => got(to)).toEqual({ tracks: ['audio'], channels: ['more'] });
      await inPage(from, ({ session }) => {
        for (let n = 0; n < 10; n++) session.peer?.addTransceiver('video');
      });
      await expect.poll(errors).toEqual(['message_too_big']);
      await expectTalk(host, guest);
      // The peer can still add tracks. Afterwards the description that is too large is tried once more.
      await inPage(to, add);
      await expect.poll(() => got(from)).toEqual({ tracks: ['audio'], channels: ['more'] });
      await expect.poll(errors).toEqual(['message_too_big', 'message_too_big']);
      await expectTalk(host, guest);
      await expectKept(host, guest);
      expect(await inPage(to, ({ errors }) => errors)).toEqual([]);
    },
  );
});

/** Runs in the page. */
const add = ({ session }: ClientPage) => {
  session.peer?.addTransceiver('audio');
  session.peer?.createDataChannel('more');
};
