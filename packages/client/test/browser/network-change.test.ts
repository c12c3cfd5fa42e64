// The client in networks that change under it: two browsers behind real NATs, one of which gets another address.
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Device } from '../../../server/test/support/browser.js';
import { type Command, spawnCommand } from '../../../server/test/support/command.js';
import { describeWith } from '../../../server/test/support/components.js';
import { type Coturn, startCoturn } from '../../../server/test/support/coturn.js';
import { Lab, PUBLIC_ADDRESS } from '../../../server/test/support/lab.js';
import { launchBrowserOn } from '../../../server/test/support/lab-browser.js';
import { temporaryFolder } from '../../../server/test/support/server.js';
import { build } from '../../../server/test/support/server-process.js';
import { expectKept, expectTalk, inPage, openUnserved, pair } from '../support/client-page.js';

/**
 * Where nobody tells of the change, ICE notices after 5 s of silence, the client waits 1 s more, gives the server 3 s for a
 * sign of life and comes back after half a second at the most. The rest is for a busy machine. Where the browser tells,
 * it is mostly half a second; but it may tell before its ICE knows of the new network.
 */
const HEALED_WITHIN_MS = 15_000;

const PROGRAMS = ['network namespaces', 'ip', 'iptables', 'chromium', 'turnserver'];
describeWith(PROGRAMS, 'two browsers in networks that change', () => {
  const folder = temporaryFolder();
  const browsers: Browser[] = [];
  let lab: Lab;
  let coturn: Coturn | undefined;
  let server: Command | undefined;
  let url: string;

  beforeAll(async () => {
    build();
    lab = new Lab();
    lab.route({ ports: 'kept', udp: 'open' });
    // For STUN alone: without it nobody behind a router is found.
    coturn = await startCoturn({
      prefix: lab.prefix('public'),
      env: {
        TURN_SECRET: 'the-secret-of-the-lab',
        TURN_PORT: '3478',
        TURN_LISTEN_IPS: PUBLIC_ADDRESS,
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

  const paired = async (): Promise<[Device, Device]> => {
    const phone = await openUnserved(browsers[0], url);
    const laptop = await openUnserved(browsers[1], url);
    await pair(url, phone, laptop);
    await expectTalk(phone, laptop);
    return [phone, laptop];
  };

  test('a phone that comes into another network talks on, on the same peer connection', async ({
    annotate,
  }) => {
    lab.move('phone', 'away');
    const [phone, laptop] = await paired();
    lab.move('phone', 'home');
    const healedMs = await healed(phone, laptop);
    await annotate(`in another network, told by the browser: ${healedMs} ms`);
    await expectKept(phone, laptop);
  }, 60_000);

  test('a router with another public address, of which no browser is told: it heals all the same', async ({
    annotate,
  }) => {
    lab.move('phone', 'home');
    const [phone, laptop] = await paired();
    lab.renumber('home');
    const healedMs = await healed(phone, laptop);
    await annotate(`another public address, told by nobody: ${healedMs} ms`);
    await expectKept(phone, laptop);
    for (const device of [phone, laptop]) {
      expect(await inPage(device, ({ states }) => states)).toEqual(['reconnecting', 'connected']);
    }
  }, 60_000);
});

/** How long it takes from now until a text has gone each way. */
async function healed(phone: Device, laptop: Device): Promise<number> {
  const start = performance.now();
  await expectTalk(phone, laptop, HEALED_WITHIN_MS);
  return Math.round(performance.now() - start);
}
