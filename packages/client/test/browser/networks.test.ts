// Tests the client in real networks: two browsers behind NATs that need a relay, or whose address changes.

import type { Device } from '@couplet/testkit/browser';
import { type Command, spawnCommand, startCommand } from '@couplet/testkit/command';
import { describeWith } from '@couplet/testkit/components';
import { type Coturn, startCoturn } from '@couplet/testkit/coturn';
import { Lab, PUBLIC_ADDRESS, PUBLIC_NETWORK } from '@couplet/testkit/lab';
import { launchBrowserOn } from '@couplet/testkit/lab-browser';
import { temporaryFolder } from '@couplet/testkit/server';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CoupletOptions } from '../../src/index.js';
import {
  expectKept,
  expectTalk,
  inPage,
  openUnserved,
  pair,
  ufragOf,
} from '../support/client-page.js';

/**
 * If the browser does not report the change, ICE detects it after 5 s without packets. The client waits 1 s more, allows
 * the server 3 s to answer, and reconnects after at most half a second. If the browser reports it, ICE still uses the old
 * path for about 3 s. SCTP resends lost data only after its timer, up to 6 s later. The rest is for a busy machine.
 */
const RECOVERED_WITHIN_MS = 15_000;

const SECRET = 'the-secret-of-the-lab';

const PROGRAMS = ['network namespaces', 'ip', 'iptables', 'chromium', 'turnserver'];
describeWith(PROGRAMS, 'two browsers in real networks', () => {
  const folder = temporaryFolder();
  const browsers: Browser[] = [];
  let lab: Lab;
  let coturn: Coturn | undefined;
  let server: Command | undefined;
  let url: string;

  beforeAll(async () => {
    lab = new Lab();
    lab.route({ ports: 'kept', udp: 'open' });
    coturn = await startCoturn({
      prefix: lab.prefix('public'),
      env: {
        TURN_SECRET: SECRET,
        TURN_PORT: '3478',
        TURN_LISTEN_IPS: PUBLIC_ADDRESS,
        TURN_ALLOWED_PEERS: PUBLIC_NETWORK,
        TURN_VERBOSE: '1',
      },
    });
    await coturn.logged(`UDP listener opened on: ${PUBLIC_ADDRESS}:3478`);
    server = spawnCommand(['serve', '--sqlite'], {
      cwd: folder,
      prefix: lab.prefix('public'),
      env: {
        HOST: PUBLIC_ADDRESS,
        SQLITE_DB_PATH: ':memory:',
        // Only STUN, so that a relay cannot hide the change.
        STUN_URLS: `stun:${PUBLIC_ADDRESS}:3478`,
      },
    });
    url = await server.listening;
    for (const host of ['phone', 'laptop'] as const) {
      browsers.push(await launchBrowserOn(lab, host, folder));
    }
  });
  afterAll(async () => {
    await Promise.all(browsers.map((browser) => browser.close()));
    await server?.kill();
    await coturn?.stop();
    lab?.remove();
  });

  const paired = async (options: CoupletOptions = { url }): Promise<[Device, Device]> => {
    const phone = await openUnserved(browsers[0], options.url);
    const laptop = await openUnserved(browsers[1], options.url);
    await pair(options, phone, laptop);
    await expectTalk(phone, laptop);
    return [phone, laptop];
  };

  test('devices that only allow relay connect through it, and restart ICE through it', async () => {
    lab.move('phone', 'home');
    const withTurn = await startCommand(['serve', '--sqlite'], {
      cwd: folder,
      prefix: lab.prefix('public'),
      env: {
        HOST: PUBLIC_ADDRESS,
        SQLITE_DB_PATH: ':memory:',
        TURN_SECRET: SECRET,
        TURN_URLS: `turn:${PUBLIC_ADDRESS}:3478`,
      },
    }).listening;
    const rtcConfiguration = { iceTransportPolicy: 'relay' } as const;
    const [phone, laptop] = await paired({ url: withTurn, rtcConfiguration });
    for (const device of [phone, laptop]) {
      await expect.poll(() => inPage(device, ({ session }) => session.path)).toBe('relay');
    }
    const before = await ufragOf(phone);
    await inPage(laptop, ({ session }) => session.restartIce());
    await expect.poll(() => ufragOf(phone)).not.toBe(before);
    await expectTalk(phone, laptop);
    await expectKept(phone, laptop);
  }, 60_000);

  test('a phone that changes the network keeps its peer connection', async ({ annotate }) => {
    lab.move('phone', 'away');
    const [phone, laptop] = await paired();
    lab.move('phone', 'home');
    const reconnectedMs = await timeToReconnect(phone, laptop);
    await annotate(`in another network, reported by the browser: ${reconnectedMs} ms`);
    await expectKept(phone, laptop);
  }, 60_000);

  test('a router that changes its public address, unknown to the browsers: the session reconnects', async ({
    annotate,
  }) => {
    lab.move('phone', 'home');
    const [phone, laptop] = await paired();
    lab.renumber('home');
    const reconnectedMs = await timeToReconnect(phone, laptop);
    await annotate(`another public address, not reported: ${reconnectedMs} ms`);
    await expectKept(phone, laptop);
    for (const device of [phone, laptop]) {
      expect(await inPage(device, ({ states }) => states)).toEqual(['reconnecting', 'connected']);
    }
  }, 60_000);
});

/** Resolves to the time until a text has arrived in each direction. */
async function timeToReconnect(phone: Device, laptop: Device): Promise<number> {
  const start = performance.now();
  await expectTalk(phone, laptop, RECOVERED_WITHIN_MS);
  return Math.round(performance.now() - start);
}
