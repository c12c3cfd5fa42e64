// Opens devices: browser pages with the built client, and an application that records its events.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Device, launchBrowser, openDevice, servePage } from '@couplet/testkit/browser';
import { launchFirefox } from '@couplet/testkit/firefox';
import type { Browser, BrowserContext } from 'playwright-core';
import { afterAll, beforeAll, expect } from 'vitest';
import type {
  Couplet,
  CoupletError,
  CoupletOptions,
  exchangeKeys,
  Invite,
  PeerSession,
  receiveFiles,
  SavedSession,
  SessionState,
  sendFile,
} from '../../src/index.js';
import type { mediaOf } from '../../src/media.js';

/** The globals of the page: the client, and the data of its application. */
export interface ClientPage {
  Couplet: typeof Couplet;
  exchangeKeys: typeof exchangeKeys;
  mediaOf: typeof mediaOf;
  sendFile: typeof sendFile;
  receiveFiles: typeof receiveFiles;
  invite: Invite;
  session: PeerSession;
  /** Events of the session since it was stored, in order. */
  messages: unknown[];
  states: SessionState[];
  errors: CoupletError['code'][];
  /** The peer connection at the time when the session was stored. */
  first: RTCPeerConnection | undefined;
  /** Kinds of the tracks and labels of the channels that the peer added. */
  tracks: string[];
  channels: string[];
  keep(session: PeerSession): void;
}

const PAGE = `<!doctype html>
<script type="importmap">
  { "imports": { "@couplet/client": "/client/index.js", "@couplet/protocol": "/protocol/index.js" } }
</script>
<script type="module">
  import * as client from '@couplet/client';
  import { mediaOf } from '/client/media.js';
  Object.assign(window, { ...client, mediaOf });
</script>`;

/** The built modules of a package, by their path for the page. */
const modulesOf = (name: string): Record<string, Buffer> => {
  const folder = fileURLToPath(new URL(`../../../${name}/dist`, import.meta.url));
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  const files = all.filter((file) => file.endsWith('.js'));
  return Object.fromEntries(
    files.map((file) => [`/${name}/${file}`, readFileSync(join(folder, file))]),
  );
};
/** The built client and what it imports. */
export const scripts = (): Record<string, Buffer> => ({
  ...modulesOf('client'),
  ...modulesOf('protocol'),
});

/** Starts a browser and a site for a describe block. Returns a function that opens a device, closed at the end of its test. */
export function deviceOpener(
  launch: () => Promise<Browser> = launchBrowser,
): () => Promise<Device> {
  let browser: Browser;
  let site: ReturnType<typeof servePage>;
  beforeAll(async () => {
    site = servePage(PAGE, scripts());
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
    await site?.close();
  });
  const prepare = (context: BrowserContext) => context.addInitScript(installApplication);
  return async () => openDevice(browser, await site.url, { prepare });
}

/** The same for each browser that the tests drive. */
export const deviceOpeners = () => ({
  chromium: deviceOpener(),
  firefox: deviceOpener(launchFirefox),
});

/** Opens a device on this origin. The browser gets the page from the test, not from a server. */
export function openUnserved(browser: Browser | undefined, origin: string): Promise<Device> {
  const files = scripts() as Record<string, Buffer>;
  return openDevice(browser, `${origin}/client-page`, {
    prepare: async (context) => {
      await context.addInitScript(installApplication);
      await context.route(
        (url) => url.pathname === '/client-page' || url.pathname in files,
        (route) => {
          const script = files[new URL(route.request().url()).pathname];
          const contentType = script === undefined ? 'text/html' : 'text/javascript';
          return route.fulfill({ body: script ?? PAGE, contentType });
        },
      );
    },
  });
}

/** Runs a function in the page: its first argument is the page's window, the second is passed as JSON. */
export function inPage<Result, Argument = undefined>(
  { page }: Device,
  run: (page: ClientPage, argument: Argument) => Result | Promise<Result>,
  ...[argument]: Argument extends undefined ? [] : [Argument]
): Promise<Result> {
  return page.evaluate(`(${run})(window, ${JSON.stringify(argument)})`) as Promise<Result>;
}

/** Pairs two devices with the client, and stores the session in each page. */
export async function pair(
  options: CoupletOptions | string,
  host: Device,
  guest: Device,
): Promise<void> {
  const chosen = typeof options === 'string' ? { url: options } : options;
  const code = await invite(chosen, host);
  await Promise.all([accepted(host), accept(chosen, guest, code)]);
}

/** Creates a code on the host. */
export const invite = (options: CoupletOptions, host: Device): Promise<string> =>
  inPage(
    host,
    async (page, options) => {
      page.invite = await new page.Couplet(options).invite();
      return page.invite.code;
    },
    options,
  );

/** Resolves once the host's invite has led to a session. */
export const accepted = (host: Device): Promise<void> =>
  inPage(host, async (page) => page.keep(await page.invite.accepted));

/** Accepts a code on the guest. Resolves once there is a session. */
export const accept = (options: CoupletOptions, guest: Device, code: string): Promise<void> =>
  inPage(
    guest,
    async (page, { options, code }) => page.keep(await new page.Couplet(options).accept(code)),
    { options, code },
  );

/** Resumes a pairing. Resolves once there is a session. */
export const resume = (url: string, device: Device, saved: SavedSession): Promise<void> =>
  inPage(
    device,
    async (page, { url, saved }) => page.keep(await new page.Couplet({ url }).resume(saved)),
    { url, saved },
  );

/** Sends a text in each direction, and waits until both arrive, at once or after a reconnect. */
export async function expectTalk(host: Device, guest: Device): Promise<void> {
  for (const [from, to] of [
    [host, guest],
    [guest, host],
  ] as const) {
    const text = `hello ${crypto.randomUUID()}`;
    await inPage(from, (page, text) => page.session.send(text), text);
    const heard = () => inPage(to, ({ messages }) => messages);
    await expect.poll(heard).toContain(text);
  }
}

/** Expects that both are connected by their first peer connection. */
export async function expectKept(...devices: Device[]): Promise<void> {
  for (const device of devices) {
    const kept = ({ session, first }: ClientPage) => [session.state, session.peer === first];
    expect(await inPage(device, kept)).toEqual(['connected', true]);
  }
}

export const stateOf = (device: Device) => inPage(device, ({ session }) => session.state);

/** Returns the ICE generation of the peer at this device. */
export const ufragOf = (device: Device) =>
  inPage(device, ({ session }) => {
    const sdp = session.peer?.currentRemoteDescription?.sdp ?? '';
    return /^a=ice-ufrag:(.*)$/m.exec(sdp)?.[1];
  });

export const sentOfType = ({ sent }: Device, wanted: string) =>
  sent.filter(({ type }) => type === wanted);

/** Runs in the page before anything else: an application that records all events of a session. */
function installApplication(): void {
  const page = window as unknown as ClientPage;
  page.keep = (session) => {
    Object.assign(page, {
      ...{ session, first: session.peer },
      ...{ messages: [], states: [], errors: [], tracks: [], channels: [] },
    });
    session.on('message', (message) => page.messages.push(message));
    session.on('state', (state) => page.states.push(state));
    session.on('error', ({ code }) => page.errors.push(code));
    const watch = (peer: RTCPeerConnection) => {
      peer.addEventListener('track', ({ track }) => page.tracks.push(track.kind));
      peer.addEventListener('datachannel', ({ channel }) => page.channels.push(channel.label));
    };
    session.on('peer', watch);
    if (session.peer) watch(session.peer);
  };
}
