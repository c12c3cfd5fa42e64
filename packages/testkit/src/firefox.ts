// Runs Debian's Firefox for tests, through WebDriver BiDi, with the interface of browser.ts.
import { type Browser, firefox } from 'playwright-core';

const FIREFOX = '/usr/bin/firefox-esr';

/** The part of a BiDi session of Playwright that is changed below. */
interface Session {
  send(command: string, parameters: unknown): Promise<unknown>;
}

/** Starts a browser process with an empty profile. The caller closes it. */
export async function launchFirefox(): Promise<Browser> {
  const browser = await firefox.launch({
    channel: 'moz-firefox',
    executablePath: FIREFOX,
    timeout: 100_000,
    firefoxUserPrefs: {
      // On a machine without a network, the only host candidates are on loopback, and nothing answers mDNS.
      'media.peerconnection.ice.loopback': true,
      'media.peerconnection.ice.obfuscate_host_addresses': false,
      'media.navigator.streams.fake': true,
      'media.navigator.permission.disabled': true,
    },
  });
  const { _connection } = browser as unknown as {
    _connection: { toImpl(browser: Browser): { _browserSession: Session } };
  };
  const sessions = Object.getPrototypeOf(_connection.toImpl(browser)._browserSession) as Session;
  const { send } = sessions;
  sessions.send = function (this: Session, command, parameters) {
    // Playwright sends it for every context, but this Firefox does not have it.
    if (command === 'emulation.setMediaFeaturesOverride') return Promise.resolve({});
    return send.call(this, command, parameters);
  };
  return browser;
}
