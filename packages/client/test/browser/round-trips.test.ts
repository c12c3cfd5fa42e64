// Counts the crossings of the link to the server, from `accept()` until both devices have each other's description.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { describeWith } from '@couplet/testkit/components';
import { serverForTest } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { accept, accepted, deviceOpener, invite } from '../support/client-page.js';

/** For the figures in docs/performance.md: delays everything, and prints the time. The counts do not depend on it. */
const LINK_MS = Number(process.env.ROUND_TRIP_MS ?? 0);

/**
 * Counts like a logical clock: each crossing counts one more than the longest chain of crossings that led to it. The
 * counts depend only on what waits for what, never on time.
 */
class Crossings {
  /** Round trips before each message first arrived at a device. */
  readonly roundTrips: Record<string, number> = {};
  /** 0 until `begin`. */
  #one = 0;
  #accept = 0;
  /** The longest chain that ended in a WebSocket message to the server. */
  #message = 0;

  /** Counts from now on. */
  begin(): void {
    this.#one = 1;
  }

  /** Opens the link of one device. Returns its address. */
  async link(target: number): Promise<string> {
    /** The longest chain that ended in the answer to a POST: what a device sends afterwards may depend on it. */
    let answer = 0;
    const server = createServer((near) => {
      const far = connect(target, '127.0.0.1');
      const isOpen = after(LINK_MS);
      let request = '';
      let up = 0;
      // SYN and SYN-ACK.
      let down = answer + 2 * this.#one;
      pass(near, far, isOpen, (text) => {
        if (request !== 'GET') request = /^(GET|OPTIONS|POST \S+)/.exec(text)?.[0] ?? request;
        const isMessage = request === 'GET' && !text.startsWith('GET');
        const chain = this.#one + Math.max(down, isMessage ? answer : 0);
        return () => {
          up = chain;
          if (isMessage) this.#message = Math.max(this.#message, chain);
          if (request === 'POST /api/rooms/accept') this.#accept = chain;
        };
      });
      pass(far, near, isOpen, (text) => {
        const isMessage = request === 'GET' && !/^HTTP|"connected"/.test(text);
        const cause = request === 'POST /api/rooms/check' ? this.#accept : up;
        const chain = this.#one + Math.max(cause, isMessage ? this.#message : 0);
        const name = isMessage ? /room_ready|webrtc_\w+/.exec(text)?.[0] : request;
        return () => {
          down = chain;
          if (request.startsWith('POST')) answer = chain;
          if (name && chain > 0) this.roundTrips[name] ??= chain / 2;
        };
      });
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void server.close());
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }
}

/** Forwards in one direction, after half a round trip. `count` returns what to do when the data arrives. */
function pass(
  from: Socket,
  to: Socket,
  isOpen: Promise<void>,
  count: (text: string) => () => void,
) {
  from.setNoDelay(true);
  from.on('data', async (bytes) => {
    const arrive = count(bytes.toString('latin1'));
    await isOpen;
    await after(LINK_MS / 2);
    arrive();
    to.write(bytes);
  });
  from.on('error', () => to.destroy());
  from.on('close', () => to.destroy());
}

describeWith(['chromium'], 'round trips to the server', () => {
  const open = deviceOpener();

  // Repeated, because a busy browser may open a connection only after other data has arrived, which then counts as awaited. It
  // can only count more than the client needs.
  const busy = { retry: 4 };

  test('accept to the answer: TCP, preflight, accept, join, offer and answer', busy, async () => {
    const target = Number(new URL((await serverForTest()).url).port);
    const crossings = new Crossings();
    const [host, guest] = [await open(), await open()];
    const code = await invite({ url: await crossings.link(target) }, host);
    const url = await crossings.link(target);
    await expect.poll(() => host.requests).toContain('/api/rooms/check');
    await expect.poll(() => host.received).toHaveLength(1);
    crossings.begin();
    const begunMs = performance.now();
    await Promise.all([accepted(host), accept({ url }, guest, code)]);
    const tookMs = performance.now() - begunMs;
    if (LINK_MS) process.stdout.write(`accept to open channel: ${tookMs.toFixed()} ms\n`);
    expect(crossings.roundTrips).toEqual({
      // While TCP and the preflight take two round trips, so do TCP and the opening handshake.
      ...{ OPTIONS: 2, GET: 2 },
      ...{ 'POST /api/rooms/accept': 3, 'POST /api/rooms/check': 3 },
      ...{ room_ready: 4, webrtc_offer: 5, webrtc_answer: 6 },
    });
  });
});
