// The client in two real browsers, as its built modules: the five lines, and what they survive.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  type Device,
  launchBrowser,
  openDevice,
  servePage,
} from '../../server/test/support/browser.js';
import { startCommand } from '../../server/test/support/command.js';
import { describeWith } from '../../server/test/support/components.js';
import { temporaryFolder } from '../../server/test/support/server.js';
import { build } from '../../server/test/support/server-process.js';
import type { Couplet, Invite, PeerSession, SavedSession } from '../src/index.js';

const PAGE = `<!doctype html>
<script type="importmap">
  { "imports": { "@couplet/client": "/client/index.js", "@couplet/protocol": "/protocol/index.js" } }
</script>
<script type="module">import { Couplet } from '@couplet/client'; window.Couplet = Couplet;</script>`;

/** The built modules of a package, by the path at which the page finds them. */
const modules = (name: string): Record<string, Buffer> => {
  const folder = fileURLToPath(new URL(`../../${name}/dist`, import.meta.url));
  const files = readdirSync(folder).filter((file) => file.endsWith('.js'));
  return Object.fromEntries(
    files.map((file) => [`/${name}/${file}`, readFileSync(join(folder, file))]),
  );
};

/** What the page has: the client, and what this test keeps there. */
interface TestWindow {
  Couplet: typeof Couplet;
  invite: Invite;
  session: PeerSession;
  first: RTCPeerConnection;
  messages: unknown[];
}

describeWith(['chromium'], 'two browsers with the client', () => {
  const folder = temporaryFolder();
  const browsers: Browser[] = [];
  let site: ReturnType<typeof servePage>;
  beforeAll(async () => {
    build();
    site = servePage(PAGE, { ...modules('client'), ...modules('protocol') });
    for (const _ of ['host', 'guest']) browsers.push(await launchBrowser());
  });
  afterAll(async () => {
    await Promise.all(browsers.map((browser) => browser.close()));
    await site.close();
  });

  const start = (env: Record<string, string> = {}) =>
    startCommand(['serve', '--sqlite'], {
      cwd: folder,
      env: { SQLITE_DB_PATH: join(folder, 'chat.db'), ...env },
    });
  const open = async (): Promise<[Device, Device]> => [
    await openDevice(browsers[0], await site.url),
    await openDevice(browsers[1], await site.url),
  ];

  test('the five lines: both get a session, and text arrives both ways', async () => {
    const url = await start().listening;
    const [host, guest] = await open();
    await pair(url, host, guest);
    await expectTalk(host, guest);
    expect(host.requests.filter((path) => path === '/api/rooms/check')).toHaveLength(1);
    for (const { page } of [host, guest]) {
      await expect.poll(() => page.evaluate(pathOfSession)).toBe('host');
    }
    // One exchange, no collision: the first offer is the initiator's alone.
    expect(ofType(host, 'webrtc_offer')).toHaveLength(1);
    expect(ofType(guest, 'webrtc_offer')).toHaveLength(0);
  }, 60_000);

  test('either side may add a channel later', async () => {
    const url = await start().listening;
    const [host, guest] = await open();
    await pair(url, host, guest);
    for (const [from, to] of [
      [host, guest],
      [guest, host],
    ] as const) {
      const kind = to.page.evaluate(trackFromPeer);
      await from.page.evaluate(() => {
        (window as unknown as TestWindow).session.peer?.addTransceiver('audio');
      });
      expect(await kind).toBe('audio');
    }
    await expectTalk(host, guest);
  }, 60_000);

  test('the server restarts: the channel works on, signaling heals, and an ICE restart succeeds', async () => {
    const server = start();
    const url = await server.listening;
    const [host, guest] = await open();
    await pair(url, host, guest);
    for (const { page } of [host, guest]) await page.evaluate(keepPeer);

    server.child.kill('SIGTERM');
    await server.ended;
    await expectTalk(host, guest);

    await start({ PORT: new URL(url).port }).listening;
    for (const device of [host, guest]) {
      await expect.poll(() => readies(device), { timeout: 30_000 }).toBeGreaterThan(1);
    }
    const before = await host.page.evaluate(iceUser);
    await host.page.evaluate(() => (window as unknown as TestWindow).session.peer?.restartIce());
    await expect.poll(() => host.page.evaluate(iceUser)).not.toBe(before);
    await expectTalk(host, guest);
    for (const { page } of [host, guest]) expect(await page.evaluate(keptPeer)).toBe(true);
  }, 90_000);

  test.each(['host', 'guest'] as const)(
    'the %s reloads its page, resumes, and both talk again',
    async (which) => {
      const url = await start().listening;
      const [host, guest] = await open();
      await pair(url, host, guest);
      const { page } = which === 'host' ? host : guest;
      const saved = await page.evaluate(() => (window as unknown as TestWindow).session.save());
      await page.reload({ waitUntil: 'load' });
      await page.evaluate(resume, [url, saved] as const);
      const other = (which === 'host' ? guest : host).page;
      await expect.poll(() => other.evaluate(stateOfSession)).toBe('connected');
      await expectTalk(host, guest);
    },
    60_000,
  );

  test('one leaves: the other is told, and closing leaves no peer connection open', async () => {
    const url = await start().listening;
    const [host, guest] = await open();
    await pair(url, host, guest);
    await guest.page.evaluate(keepPeer);
    const left = host.page.evaluate(
      () =>
        new Promise<void>((resolve) => {
          (window as unknown as TestWindow).session.on('peer-left', resolve);
        }),
    );
    await guest.page.evaluate(() => (window as unknown as TestWindow).session.close());
    await left;
    expect(await host.page.evaluate(stateOfSession)).toBe('connecting');
    expect(
      await guest.page.evaluate(() => (window as unknown as TestWindow).first.signalingState),
    ).toBe('closed');
  }, 60_000);
});

/** Pairs the two by the client alone, and keeps in each page its session and what comes. */
async function pair(url: string, host: Device, guest: Device): Promise<void> {
  const code = await host.page.evaluate(async (url) => {
    const page = window as unknown as TestWindow;
    page.invite = await new page.Couplet({ url }).invite();
    return page.invite.code;
  }, url);
  const accepted = host.page.evaluate(async () => {
    const page = window as unknown as TestWindow;
    page.session = await page.invite.accepted;
    page.messages = [];
    page.session.on('message', (message) => page.messages.push(message));
  });
  await guest.page.evaluate(
    async ([url, code]) => {
      const page = window as unknown as TestWindow;
      page.session = await new page.Couplet({ url }).accept(code);
      page.messages = [];
      page.session.on('message', (message) => page.messages.push(message));
    },
    [url, code] as const,
  );
  await accepted;
}

async function resume([url, saved]: readonly [string, SavedSession]): Promise<void> {
  const page = window as unknown as TestWindow;
  page.session = await new page.Couplet({ url }).resume(saved);
  page.messages = [];
  page.session.on('message', (message) => page.messages.push(message));
}

/** A text from each, that arrives at the other. */
async function expectTalk(host: Device, guest: Device): Promise<void> {
  for (const [from, to] of [
    [host, guest],
    [guest, host],
  ] as const) {
    const text = `hello from ${from.id} ${performance.now()}`;
    await from.page.evaluate((text) => (window as unknown as TestWindow).session.send(text), text);
    await expect
      .poll(() => to.page.evaluate(() => (window as unknown as TestWindow).messages))
      .toContain(text);
  }
}

const ofType = ({ sent }: Device, wanted: string) => sent.filter(({ type }) => type === wanted);

const readies = ({ received }: Device) =>
  received.filter(({ type }) => type === 'room_ready').length;

// These run in the page.
const pathOfSession = () => (window as unknown as TestWindow).session.path;
const stateOfSession = () => (window as unknown as TestWindow).session.state;
const iceUser = () =>
  /^a=ice-ufrag:(.*)$/m.exec(
    (window as unknown as TestWindow).session.peer?.currentRemoteDescription?.sdp ?? '',
  )?.[1];
const keepPeer = () => {
  const page = window as unknown as TestWindow;
  if (page.session.peer) page.first = page.session.peer;
};
const keptPeer = () => {
  const page = window as unknown as TestWindow;
  return page.first === page.session.peer && page.session.state === 'connected';
};
const trackFromPeer = () =>
  new Promise<string>((resolve) => {
    const { peer } = (window as unknown as TestWindow).session;
    peer?.addEventListener('track', ({ track }) => resolve(track.kind), { once: true });
  });
