// Devices in the lab: Chromium on its hosts, paired only through the server's API, and the path that ICE selected.
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser, Page } from 'playwright-core';
import { onTestFinished } from 'vitest';
import { CHROMIUM, launchBrowser } from './browser.js';
import type { HostName, Lab } from './lab.js';

const CLIENT = readFileSync(new URL('../../server/test/proof/client.js', import.meta.url), 'utf8');

/** One end of the selected candidate pair, from getStats. */
export interface PathEnd {
  candidateType: RTCIceCandidateType;
  address: string | null;
  /** How a relayed candidate reaches its TURN server. */
  relayProtocol: 'udp' | 'tcp' | 'tls' | null;
}

export interface SelectedPair {
  local: PathEnd;
  remote: PathEnd;
}

/** The page: client.js as `client`, and the result of entering a room. */
interface LabWindow {
  client: {
    makeCode(server: string, deviceId: string): Promise<string>;
    waitForGuest(server: string, joinCode: string, deviceId: string): Promise<string>;
    enterCode(server: string, joinCode: string, deviceId: string): Promise<string>;
    enterRoom(
      server: string,
      roomId: string,
      deviceId: string,
      on: {
        onText(text: string): void;
        onOpen(): void;
        onState(state: RTCPeerConnectionState): void;
      },
    ): {
      peerConnection(): RTCPeerConnection;
      sendText(text: string): void;
      close(): void;
    };
  };
  room: ReturnType<LabWindow['client']['enterRoom']>;
  opened: Promise<void>;
  failed: Promise<void>;
  text: Promise<string>;
}

/** Starts a browser on a host. The caller closes it. */
export function launchBrowserOn(lab: Lab, host: HostName, folder: string): Promise<Browser> {
  const executablePath = join(folder, `chromium-on-${host}`);
  const command = [...lab.prefix(host), CHROMIUM].join(' ');
  writeFileSync(executablePath, `#!/bin/sh\nexec ${command} "$@"\n`);
  chmodSync(executablePath, 0o700);
  return launchBrowser({ executablePath, args: [] });
}

/** A page on a host that knows only the address of the server; closed when the test ends. */
export class LabDevice {
  readonly #page: Page;
  readonly #server: string;
  readonly #id = crypto.randomUUID();

  private constructor(page: Page, server: string) {
    this.#page = page;
    this.#server = server;
  }

  static async open(browser: Browser | undefined, server: string): Promise<LabDevice> {
    if (browser === undefined) throw new Error('the browser is not running');
    // The server's own page would be nearest, but its content security policy forbids loading scripts.
    const context = await browser.newContext({ bypassCSP: true });
    onTestFinished(() => context.close());
    const page = await context.newPage();
    await page.goto(server);
    const exports = 'makeCode, waitForGuest, enterCode, enterRoom';
    await page.addScriptTag({
      type: 'module',
      content: `${CLIENT}\nwindow.client = { ${exports} };`,
    });
    await page.waitForFunction(() => 'client' in window);
    return new LabDevice(page, server);
  }

  /** Pairs with the other by a code, and enters their room. */
  async pairWith(guest: LabDevice): Promise<void> {
    const [server, id] = [this.#server, this.#id];
    const joinCode = await this.#page.evaluate(
      ([url, device]) => (window as unknown as LabWindow).client.makeCode(url, device),
      [server, id] as const,
    );
    const [roomId] = await Promise.all([
      this.#page.evaluate(
        ([url, code, device]) =>
          (window as unknown as LabWindow).client.waitForGuest(url, code, device),
        [server, joinCode, id] as const,
      ),
      guest.#page.evaluate(
        ([url, code, device]) =>
          (window as unknown as LabWindow).client.enterCode(url, code, device),
        [server, joinCode, guest.#id] as const,
      ),
    ]);
    await Promise.all([this.#enterRoom(roomId), guest.#enterRoom(roomId)]);
  }

  /** Resolves once the data channel is open; rejects if the peer connection fails. */
  opened(): Promise<void> {
    return this.#page.evaluate(() => {
      const { opened, failed } = window as unknown as LabWindow;
      const failure = failed.then(() => Promise.reject(new Error('the peer connection failed')));
      return Promise.race([opened, failure]);
    });
  }

  /** Resolves once the peer connection has failed. */
  failed(): Promise<void> {
    return this.#page.evaluate(() => (window as unknown as LabWindow).failed);
  }

  /** The state of the peer connection as an app sees it, and the servers that it was given. */
  peerConnection(): Promise<{
    connectionState: string;
    iceConnectionState: string;
    servers: string[];
  }> {
    return this.#page.evaluate(() => {
      const connection = (window as unknown as LabWindow).room.peerConnection();
      const { connectionState, iceConnectionState } = connection;
      const { iceServers = [] } = connection.getConfiguration();
      const servers = iceServers.flatMap(({ urls }) => urls);
      return { connectionState, iceConnectionState, servers };
    });
  }

  sendText(text: string): Promise<void> {
    return this.#page.evaluate(
      (message) => (window as unknown as LabWindow).room.sendText(message),
      text,
    );
  }

  /** The first text that the peer sends. */
  text(): Promise<string> {
    return this.#page.evaluate(() => (window as unknown as LabWindow).text);
  }

  /** The currently selected candidate pair. */
  selectedPair(): Promise<SelectedPair | null> {
    return this.#page.evaluate(readSelectedPair);
  }

  #enterRoom(roomId: string): Promise<void> {
    return this.#page.evaluate(
      ([url, room, device]) => {
        const page = window as unknown as LabWindow;
        let onText: (text: string) => void = () => {};
        let onOpen: () => void = () => {};
        let onFailed: () => void = () => {};
        page.text = new Promise((resolve) => {
          onText = resolve;
        });
        page.opened = new Promise((resolve) => {
          onOpen = resolve;
        });
        page.failed = new Promise((resolve) => {
          onFailed = resolve;
        });
        const onState = (state: string) => {
          if (state === 'failed') onFailed();
        };
        page.room = page.client.enterRoom(url, room, device, { onText, onOpen, onState });
      },
      [this.#server, roomId, this.#id] as const,
    );
  }
}

/** Runs in the page. */
async function readSelectedPair(): Promise<SelectedPair | null> {
  const stats = await (window as unknown as LabWindow).room.peerConnection().getStats();
  const transport = [...stats.values()].find(({ type }) => type === 'transport');
  const pair = stats.get(transport?.selectedCandidatePairId ?? '');
  if (pair === undefined) return null;
  const end = (id: string): PathEnd => {
    const { candidateType, address = null, relayProtocol = null } = stats.get(id);
    return { candidateType, address, relayProtocol };
  };
  return { local: end(pair.localCandidateId), remote: end(pair.remoteCandidateId) };
}
