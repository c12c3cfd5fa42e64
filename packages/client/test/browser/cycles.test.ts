// Tests that fifty opened and closed sessions leave nothing in the browsers or on the server.

import { call } from '@couplet/testkit/api';
import type { Device } from '@couplet/testkit/browser';
import { describeWith } from '@couplet/testkit/components';
import { parseMetrics } from '@couplet/testkit/prometheus';
import { serverForTest } from '@couplet/testkit/server';
import type { BrowserContext } from 'playwright-core';
import { expect, test } from 'vitest';
import type { PeerSession } from '../../src/index.js';
import { type ClientPage, deviceOpener, inPage } from '../support/client-page.js';

const SESSIONS = 50;
const AT_ONCE = 5;

/** Counters of a page since its load, and the objects still alive. */
interface Count {
  made: number;
  left: number;
}
interface CountingPage extends ClientPage {
  count(): Record<'connections' | 'channels' | 'sockets' | 'timers' | 'listeners', Count>;
  sessions: PeerSession[];
}

describeWith(['chromium'], 'fifty sessions made and closed', () => {
  const open = deviceOpener({
    prepare: (context: BrowserContext) => context.addInitScript(countResources),
  });

  test('leave no connection, socket, timer or listener in either page, and nothing on the server', async () => {
    const { url } = await serverForTest();
    const [host, guest] = [await open(), await open()];
    for (let made = 0; made < SESSIONS; made += AT_ONCE) await cycle(url, host, guest, made);

    for (const device of [host, guest]) {
      await expect.poll(() => leftIn(device)).toEqual([]);
      const count = await inPage(device, (page) => (page as CountingPage).count());
      // The client creates and closes one connection to check the platform before it uses a code.
      expect(count.connections.made).toBe(2 * SESSIONS);
      expect(count.channels.made).toBe(SESSIONS);
      expect(count.sockets.made).toBe(SESSIONS);
      expect(count.timers.made).toBeGreaterThan(SESSIONS);
      expect(count.listeners.made).toBeGreaterThan(SESSIONS);
    }
    await expect
      .poll(async () => (await call(url, 'GET', '/rooms')).body)
      .toMatchObject({
        totalRooms: 0,
      });
    const scrape = async () => parseMetrics(await (await fetch(`${url}/metrics`)).text());
    await expect.poll(async () => (await scrape()).value('couplet_connections')).toBe(0);
    expect((await scrape()).value('couplet_connections_opened_total')).toBe(2 * SESSIONS);
    expect((await scrape()).value('couplet_live_rooms')).toBe(0);
  });
});

/** Opens, uses and closes several sessions at once. */
async function cycle(url: string, host: Device, guest: Device, made: number): Promise<void> {
  const codes = await inPage(
    host,
    async (window, { url, sessions }) => {
      const page = window as CountingPage;
      const invites = await Promise.all(
        Array.from({ length: sessions }, () => new page.Couplet({ url }).invite()),
      );
      Object.assign(page, { opening: Promise.all(invites.map(({ accepted }) => accepted)) });
      return invites.map(({ code }) => code);
    },
    { url, sessions: AT_ONCE },
  );
  await inPage(
    guest,
    async (window, { url, codes }) => {
      const page = window as CountingPage;
      page.sessions = await Promise.all(
        codes.map((code) => new page.Couplet({ url }).accept(code)),
      );
      for (const session of page.sessions) session.send('hi');
    },
    { url, codes },
  );
  await host.page.evaluate(`opening.then((opened) => { sessions = opened; })`);
  const closers = (made / AT_ONCE) % 2 === 0 ? [host, guest] : [guest, host];
  for (const device of closers) {
    await inPage(device, (page) => {
      for (const session of (page as CountingPage).sessions) session.close();
    });
  }
}

/** Describes the objects that remain. */
const leftIn = async (device: Device): Promise<string[]> => {
  const count = await inPage(device, (page) => (page as CountingPage).count());
  return Object.entries(count).flatMap(([name, { left }]) => (left === 0 ? [] : `${left} ${name}`));
};

/** Runs in the page before anything else: counts the objects that a session could leave behind. */
function countResources(): void {
  const page = window as unknown as CountingPage & typeof globalThis;
  const connections: RTCPeerConnection[] = [];
  const channels: RTCDataChannel[] = [];
  const sockets: WebSocket[] = [];
  const timers = new Set<unknown>();
  let timersMade = 0;
  const listeners = new Set<string>();
  let listenersMade = 0;

  page.RTCPeerConnection = class extends RTCPeerConnection {
    constructor(configuration?: RTCConfiguration) {
      super(configuration);
      connections.push(this);
    }
    override createDataChannel(label: string, init?: RTCDataChannelInit): RTCDataChannel {
      const channel = super.createDataChannel(label, init);
      channels.push(channel);
      return channel;
    }
  };
  page.WebSocket = class extends WebSocket {
    constructor(url: string | URL) {
      super(url);
      sockets.push(this);
    }
  };
  const { setTimeout, clearTimeout } = page;
  page.setTimeout = ((callback: () => void, delayMs?: number) => {
    timersMade += 1;
    const timer = setTimeout(() => {
      timers.delete(timer);
      callback();
    }, delayMs);
    timers.add(timer);
    return timer;
  }) as typeof setTimeout;
  page.clearTimeout = (timer) => {
    timers.delete(timer);
    clearTimeout(timer);
  };
  // Objects that outlive a session and could keep it alive: the page, the network, and the parts of the session.
  const numbers = new WeakMap<object, number>();
  let objects = 0;
  const numberOf = (object: object) => {
    if (!numbers.has(object)) numbers.set(object, ++objects);
    return numbers.get(object);
  };
  const { addEventListener, removeEventListener } = EventTarget.prototype;
  const keyOf = (target: EventTarget, type: string, listener: object) =>
    [numberOf(target ?? window), type, numberOf(listener)].join();
  EventTarget.prototype.addEventListener = function (type, listener, options) {
    // A channel does not outlive its session.
    if (listener !== null && !(this instanceof RTCDataChannel)) {
      listenersMade += 1;
      const key = keyOf(this, type, listener);
      listeners.add(key);
      if (typeof options === 'object' && options.once) {
        addEventListener.call(this, type, () => listeners.delete(key), options);
      }
    }
    addEventListener.call(this, type, listener, options);
  };
  EventTarget.prototype.removeEventListener = function (type, listener, options) {
    if (listener !== null) listeners.delete(keyOf(this, type, listener));
    removeEventListener.call(this, type, listener, options);
  };

  const count = (made: number, left: number): Count => ({ made, left });
  page.count = () => ({
    connections: count(
      connections.length,
      connections.filter(({ signalingState }) => signalingState !== 'closed').length,
    ),
    channels: count(
      channels.length,
      channels.filter(({ readyState }) => readyState !== 'closed').length,
    ),
    sockets: count(
      sockets.length,
      sockets.filter(({ readyState }) => readyState !== WebSocket.CLOSED).length,
    ),
    timers: count(timersMade, timers.size),
    listeners: count(listenersMade, listeners.size),
  });
}
