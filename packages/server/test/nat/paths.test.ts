// The path between two devices in each network: real browsers behind real NATs, with only the ICE servers of the server.

import { describeWith } from '@couplet/testkit/components';
import { HOSTS } from '@couplet/testkit/lab';
import { LAB_PROGRAMS, LAB_STUN, LAB_TURN, useLab } from '@couplet/testkit/lab-browser';
import { beforeAll, expect, onTestFinished, test } from 'vitest';
import {
  type ClientPage,
  expectTalk,
  inPage,
  openUnserved,
  pair,
} from '../../../client/test/support/client-page.js';
import { lengthenLines } from '../support/long-line.js';
import { NETWORKS } from './networks.js';

describeWith(LAB_PROGRAMS, 'network → path', () => {
  const { lab, browser, serve } = useLab(HOSTS);
  let withTurn: string;
  let withoutTurn: string;
  beforeAll(async () => {
    withTurn = await serve({ ...LAB_STUN, ...LAB_TURN });
    withoutTurn = await serve(LAB_STUN);
  });

  test.each(NETWORKS)('$network → $path', async (network) => {
    lab().route(network.routers);
    if (network.lines) onTestFinished(await lengthenLines(lab(), network.lines));
    const url = network.turn ? withTurn : withoutTurn;
    const phone = await openUnserved(browser('phone'), url);
    const guest = await openUnserved(browser(network.guest), url);
    const both = [phone, guest];
    if (network.path === 'none') {
      const failures = both.map((device) => inPage(device, failure));
      // It never ends, because it waits for a path.
      pair(url, phone, guest).catch(() => {});
      for (const { iceConnectionState, servers } of await Promise.all(failures)) {
        // Chromium never changes this state later, so an app must watch the other state.
        expect(['disconnected', 'failed']).toContain(iceConnectionState);
        expect(servers).toEqual([LAB_STUN.STUN_URLS]);
      }
      return;
    }
    await pair(url, phone, guest);
    await expectTalk(phone, guest);
    const ends = () => Promise.all(both.map((device) => inPage(device, endOfPath)));
    await expect
      .poll(async () => (await ends()).map(({ path }) => path))
      .toEqual(both.map(() => network.path.replace(' over TCP', '')));
    // A device has the relay protocol only of its own relayed address. If each sends to the other's address, neither has it.
    const protocols = (await ends()).flatMap(({ relayProtocol }) => relayProtocol ?? []);
    expect(protocols.includes('tcp')).toBe(network.path === 'relay over TCP');
    const addresses = (await ends()).map(({ address }) => address);
    expect(addresses).toEqual(expect.arrayContaining(network.reached));
  });
});

/** In the page: the path, and how the device reaches the other one. */
async function endOfPath({ session }: ClientPage) {
  const stats = [...((await session.peer?.getStats()) ?? new Map()).values()];
  const byId = (id: string) => stats.find((each) => each.id === id);
  const transport = stats.find(({ type }) => type === 'transport');
  const pair = byId(transport?.selectedCandidatePairId);
  const { relayProtocol = null } = byId(pair?.localCandidateId) ?? {};
  return { path: session.path, address: byId(pair?.remoteCandidateId)?.address, relayProtocol };
}

/** In the page: waits for the result that docs/turn.md specifies for an app without a path. */
function failure() {
  return new Promise<{ iceConnectionState: string; servers: unknown[] }>((resolve) => {
    globalThis.RTCPeerConnection = class extends RTCPeerConnection {
      constructor(configuration?: RTCConfiguration) {
        super(configuration);
        const servers = configuration?.iceServers?.flatMap(({ urls }) => urls) ?? [];
        this.addEventListener('connectionstatechange', () => {
          const { connectionState, iceConnectionState } = this;
          if (connectionState === 'failed') resolve({ iceConnectionState, servers });
        });
      }
      /** The client would start again before that. */
      override restartIce() {}
    };
  });
}
