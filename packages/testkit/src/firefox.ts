// Runs real Firefox for tests through WebDriver BiDi, with the same interface as browser.ts.
import puppeteer, { type Browser, type Page } from 'puppeteer-core';
import { onTestFinished } from 'vitest';

export const FIREFOX = '/usr/bin/firefox-esr';

/** Starts a browser process with an empty profile. The caller closes it. */
export const launchFirefox = (): Promise<Browser> =>
  puppeteer.launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    extraPrefsFirefox: {
      // On a machine without a network, the only host candidates are on loopback, and nothing answers mDNS.
      'media.peerconnection.ice.loopback': true,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
    },
  });

/** Opens the page in a new context, which is closed when the test ends. `prepare` runs in the page before its scripts. */
export async function openFirefoxPage(
  browser: Browser,
  url: string,
  prepare: () => void = () => {},
): Promise<Page> {
  const context = await browser.createBrowserContext();
  onTestFinished(() => context.close());
  const page = await context.newPage();
  await page.evaluateOnNewDocument(prepare);
  await page.goto(url, { waitUntil: 'load' });
  return page;
}
