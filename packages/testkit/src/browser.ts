// Runs headless Chromium for tests, serves pages from separate origins, and records every signaling message.
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  chromium,
  type Page,
} from 'playwright-core';
import { onTestFinished } from 'vitest';

export type Frame = { type: string } & Record<string, unknown>;

/** One device: a page in its own browsing context, and its recorded network traffic. */
export interface Device {
  id: string;
  page: Page;
  /** Signaling messages that the page sent and received. */
  sent: Frame[];
  received: Frame[];
  /** Paths of its HTTP requests. */
  requests: string[];
}

/** Preferably Chromium without windows (scripts/components.js). */
export const CHROMIUM =
  ['/usr/bin/chromium-headless-shell', '/usr/bin/chromium'].find((path) => existsSync(path)) ?? '';

export interface BrowserOptions {
  /** By default Chromium itself; a script may start it elsewhere. */
  executablePath?: string;
  /** By default, the arguments for a machine without a network, whose only host candidates are on loopback. */
  args?: string[];
}

/** Starts a browser process with an empty profile. The caller closes it. */
export function launchBrowser(options: BrowserOptions = {}): Promise<Browser> {
  const { executablePath = CHROMIUM, args = ['--allow-loopback-in-peer-connection'] } = options;
  return chromium.launch({
    executablePath,
    timeout: 100_000,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      // A camera, a microphone and a screen, which need no permission.
      '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
      // Nothing answers mDNS here.
      '--disable-features=WebRtcHideLocalIpsWithMdns',
      ...args,
    ],
  });
}

/** Serves a page, and scripts by path, on a free port: another origin than the server. */
export function servePage(page: string, scripts: Record<string, string | Buffer>) {
  const site = createServer(({ url = '/' }, response) => {
    const script = scripts[url];
    response.setHeader('content-type', script === undefined ? 'text/html' : 'text/javascript');
    response.end(script ?? page);
  });
  const url = new Promise<string>((resolve) => {
    site.listen(0, '127.0.0.1', () =>
      resolve(`http://127.0.0.1:${(site.address() as AddressInfo).port}/`),
    );
  });
  const close = async () => {
    site.closeAllConnections();
    await new Promise((resolve) => site.close(resolve));
  };
  return { url, close };
}

/** Options for the context of a device; `prepare` runs before the page loads. */
export interface DeviceOptions extends BrowserContextOptions {
  prepare?: (context: BrowserContext) => Promise<unknown>;
}

/** Opens the page in a new context, which is closed when the test ends. */
export async function openDevice(
  browser: Browser | undefined,
  url: string,
  { prepare, ...options }: DeviceOptions = {},
): Promise<Device> {
  if (browser === undefined) throw new Error('the browser is not running');
  const context = await browser.newContext(options);
  // A slow machine causes no timeout.
  context.setDefaultTimeout(100_000);
  onTestFinished(() => context.close());
  await prepare?.(context);
  const page = await context.newPage();
  const device: Device = { id: crypto.randomUUID(), page, sent: [], received: [], requests: [] };
  page.on('websocket', (socket) => {
    socket.on('framesent', ({ payload }) => device.sent.push(JSON.parse(String(payload))));
    socket.on('framereceived', ({ payload }) => device.received.push(JSON.parse(String(payload))));
  });
  page.on('request', (request) => device.requests.push(new URL(request.url()).pathname));
  await page.goto(url, { waitUntil: 'load' });
  return device;
}
