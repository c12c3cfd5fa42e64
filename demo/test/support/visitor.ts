// Simulates a user of the demo page: opens it, creates and enters codes, and records browser errors.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { launchBrowser, openDevice } from '@couplet/testkit/browser';
import { launchFirefox } from '@couplet/testkit/firefox';
import { type RunningServer, startServer } from '@couplet/testkit/server';
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core';
import { afterAll, beforeAll, expect, onTestFinished } from 'vitest';

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

let browser: Browser | undefined;
let firefox: Browser | undefined;

/** Starts a browser for the visits of a describe block. */
export function useBrowser(...args: string[]): void {
  beforeAll(async () => {
    browser = await launchBrowser({ args: ['--allow-loopback-in-peer-connection', ...args] });
  });
  afterAll(() => browser?.close());
}

/** Starts Firefox too, with a camera and a microphone, for the visits of a describe block that ask for it. */
export function useFirefox(): void {
  beforeAll(async () => {
    firefox = await launchFirefox();
  });
  afterAll(() => firefox?.close());
}

/** Starts a server with the built page, and closes it when the test ends. */
export async function startSite(env: Record<string, string> = {}): Promise<RunningServer> {
  const server = await startServer(env);
  onTestFinished(() => server.close());
  return server;
}

export interface Visitor {
  page: Page;
  /** Script errors, policy violations, network errors, and requests to other origins. */
  complaints: string[];
  button(name: string | RegExp): Locator;
  tab(name: string): Locator;
  heading(name: string | RegExp): Locator;
}

export interface VisitOptions extends BrowserContextOptions {
  /** By default `chromium`. */
  engine?: 'chromium' | 'firefox';
  path?: string;
  /** Called with the page before it is opened. */
  prepare?(page: Page): Promise<unknown>;
}

export async function visit(
  site: string,
  { path = '/demo/', engine = 'chromium', prepare, ...options }: VisitOptions = {},
): Promise<Visitor> {
  const running = engine === 'firefox' ? firefox : browser;
  const { page } = await openDevice(running, 'about:blank', options);
  const complaints: string[] = [];
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) complaints.push(message.text());
  });
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith('http') && url.origin !== site) complaints.push(request.url());
  });
  await prepare?.(page);
  await page.goto(site + path, { waitUntil: 'load' });
  return {
    page,
    complaints,
    button: (name) => page.getByRole('button', { name }),
    tab: (name) => page.getByRole('tab', { name, exact: true }),
    heading: (name) => page.getByRole('heading', { name }),
  };
}

/** Presses "Create an invite", and returns the code and the link. It is verified if the page can verify devices. */
export async function makeInvite(host: Visitor): Promise<{ code: string; link: string }> {
  await host.button('Create an invite').click();
  await host.heading('Enter this code').waitFor();
  const isVerified = await host.page.locator('#invite-verified').isVisible();
  return invite(host, isVerified ? /^\d{4} \d{4} \d{4}$/ : /^\d{3} \d{3}$/);
}

/** The same for an invite that is not verified. */
export async function makePlainInvite(host: Visitor): Promise<{ code: string; link: string }> {
  await host.button('Create an invite').click();
  await host.button('Create a code without verification').click();
  await host.button('Create a verified code').waitFor();
  return invite(host, /^\d{3} \d{3}$/);
}

async function invite(host: Visitor, format: RegExp): Promise<{ code: string; link: string }> {
  const shown = (await host.page.locator('#invite-code').textContent()) ?? '';
  expect(shown).toMatch(format);
  const link = await host.page.getByLabel('or open this link there').inputValue();
  return { code: shown, link };
}

export async function enterCode(guest: Visitor, code: string): Promise<void> {
  await guest.page.getByLabel('Second device').fill(code);
  await guest.button('Join').click();
}

export async function inSession(...visitors: Visitor[]): Promise<void> {
  for (const visitor of visitors) await visitor.page.locator('#session-title').waitFor();
}

/** Opens two pages and pairs them by a code; a verified one, unless another `make` is given. */
export async function meet(
  site: string,
  options: VisitOptions = {},
  make = makeInvite,
): Promise<[Visitor, Visitor]> {
  const host = await visit(site, options);
  const guest = await visit(site, options);
  await enterCode(guest, (await make(host)).code);
  await inSession(host, guest);
  return [host, guest];
}

/** Sends a text in the chat. */
export async function write(visitor: Visitor, text: string): Promise<void> {
  await visitor.page.getByLabel('Message', { exact: true }).fill(text);
  await visitor.button('Send').click();
}

/** Expects that the chat shows this message. */
export const expectMessage = (visitor: Visitor, text: string) =>
  expect.poll(() => visitor.page.locator('.message').allTextContents()).toContain(text);

/** Waits until the video plays. */
export async function expectPicture({ page }: Visitor, selector: string): Promise<void> {
  const video = page.locator(selector);
  await video.waitFor();
  const time = () => video.evaluate((element) => (element as HTMLVideoElement).currentTime);
  await expect
    .poll(() => video.evaluate((element) => (element as HTMLVideoElement).videoWidth))
    .toBeGreaterThan(0);
  const before = await time();
  await expect.poll(time).toBeGreaterThan(before);
}

/** Expects the word that says whether the peer is verified. */
export async function expectTrust(word: string, ...visitors: Visitor[]): Promise<void> {
  for (const { page } of visitors) {
    await expect.poll(() => page.locator('#trust-word').textContent()).toBe(word);
  }
}

/** Presses "Compare" on both pages, and expects the same digits. */
export async function compare(host: Visitor, guest: Visitor): Promise<void> {
  await host.tab('Connection').click();
  await host.button('Compare').click();
  await guest.page.locator('#tab-connection.unread').waitFor();
  await guest.tab('Connection').click();
  await guest.page.getByText('The other device wants to compare').waitFor();
  await guest.button('Compare').click();
  const number = ({ page }: Visitor) => page.locator('#safety-number').innerText();
  await expect.poll(() => number(host)).toMatch(/^\d{3} \d{3} \d{3}$/);
  await expect.poll(() => number(guest)).toBe(await number(host));
}

/** Returns the findings of axe on the current page. */
export async function accessibilityFaults({ page }: Visitor): Promise<string[]> {
  // Through the debugger, because the page's policy blocks injected scripts.
  await page.evaluate(AXE);
  return page.evaluate(async () => {
    const { axe } = window as unknown as { axe: typeof import('axe-core') };
    const { violations } = await axe.run(document, {
      runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'],
    });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`));
  });
}
