// Tests the client in real networks: two browsers behind NATs that need a relay, or whose address changes.
import type { Device } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { LAB_PROGRAMS, LAB_STUN, LAB_TURN, useLab } from '@couplet/testkit/lab-browser';
import { beforeAll, expect, test } from 'vitest';
import type { CoupletOptions } from '../../src/index.js';
import {
  expectKept,
  expectTalk,
  inPage,
  openUnserved,
  pair,
  ufragOf,
} from '../support/client-page.js';

describeWith(LAB_PROGRAMS, 'two browsers in real networks', () => {
  const { lab, browser, serve } = useLab(['phone', 'laptop']);
  let url: string;
  beforeAll(async () => {
    lab().route({ ports: 'kept', udp: 'open' });
    // Only STUN, so that a relay cannot hide the change.
    url = await serve(LAB_STUN);
  });

  const paired = async (options: CoupletOptions = { url }): Promise<[Device, Device]> => {
    const phone = await openUnserved(browser('phone'), options.url);
    const laptop = await openUnserved(browser('laptop'), options.url);
    await pair(options, phone, laptop);
    await expectTalk(phone, laptop);
    return [phone, laptop];
  };

  test('devices that only allow relay connect through it, and restart ICE through it', async () => {
    lab().move('phone', 'home');
    const rtcConfiguration = { iceTransportPolicy: 'relay' } as const;
    const [phone, laptop] = await paired({ url: await serve(LAB_TURN), rtcConfiguration });
    for (const device of [phone, laptop]) {
      await expect.poll(() => inPage(device, ({ session }) => session.path)).toBe('relay');
    }
    const before = await ufragOf(phone);
    await inPage(laptop, ({ session }) => session.restartIce());
    await expect.poll(() => ufragOf(phone)).not.toBe(before);
    await expectTalk(phone, laptop);
    await expectKept(phone, laptop);
  });

  test('a phone that changes the network keeps its peer connection', async ({ annotate }) => {
    lab().move('phone', 'away');
    const [phone, laptop] = await paired();
    lab().move('phone', 'home');
    const reconnectedMs = await timeToReconnect(phone, laptop);
    await annotate(`in another network, reported by the browser: ${reconnectedMs} ms`);
    await expectKept(phone, laptop);
  });

  test('a router that changes its public address, unknown to the browsers: the session reconnects', async ({
    annotate,
  }) => {
    lab().move('phone', 'home');
    const [phone, laptop] = await paired();
    lab().renumber('home');
    const reconnectedMs = await timeToReconnect(phone, laptop);
    await annotate(`another public address, not reported: ${reconnectedMs} ms`);
    await expectKept(phone, laptop);
    for (const device of [phone, laptop]) {
      expect(await inPage(device, ({ states }) => states)).toEqual(['reconnecting', 'connected']);
    }
  });
});

/**
 * Resolves to the time until a text has arrived in each direction. If the browser does not report the change, ICE detects it
 * after 5 s without packets. The client waits 1 s more, allows the server 3 s to answer, and reconnects after at most half a
 * second. If the browser reports it, ICE still uses the old path for about 3 s. SCTP resends lost data only after its timer,
 * up to 6 s later.
 */
async function timeToReconnect(phone: Device, laptop: Device): Promise<number> {
  const start = performance.now();
  await expectTalk(phone, laptop);
  return Math.round(performance.now() - start);
}
