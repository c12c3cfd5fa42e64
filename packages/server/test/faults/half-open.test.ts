// Half-open connections (RFC 9293 §3.5.1): a phone whose packets are lost in a real network (contract §3, peer_disconnected and takeover).

import { startChild } from '@couplet/testkit/child-server';
import { describeWith } from '@couplet/testkit/components';
import { makeNetwork, networksAllowed } from '@couplet/testkit/network';
import { Peer } from '@couplet/testkit/peer';
import { temporaryFolder } from '@couplet/testkit/server';
import { describe, expect, test } from 'vitest';

/** Three heartbeat periods (docs/protocol.md), and two seconds of tolerance for a busy machine. */
const BOUND_MS = 3 * 1000 + 2000;

describeWith(['ip', 'iptables'], 'a phone whose packets are lost', () => {
  describe.skipIf(!networksAllowed())('(needs permission to create networks)', () => {
    const folder = temporaryFolder();

    async function serverInNetwork(env: Record<string, string>) {
      const network = makeNetwork(folder);
      const { url } = await startChild({ HOST: '0.0.0.0', ...env }, network.atServer);
      const port = Number(new URL(url).port);
      const connect = async (from: 'server' | 'phone', address: string) =>
        Peer.connect(`ws+unix://${await network.way(from, address, port)}:/`);
      const [home, mobile] = network.phoneAddresses;
      return {
        network,
        laptop: await connect('server', network.serverAddress),
        phone: await connect('phone', home),
        /** Connects the phone again from its other network. */
        phoneAgain: () => connect('phone', mobile),
        losePackets: () => network.cut(home),
      };
    }

    test('is dropped within three heartbeat periods, and the peer gets peer_disconnected', async ({
      annotate,
    }) => {
      const { laptop, phone, losePackets } = await serverInNetwork({ HEARTBEAT_SECONDS: '1' });
      await phone.join('room', 'phone');
      await laptop.join('room', 'laptop');
      await laptop.next('room_ready');
      losePackets();
      const start = performance.now();
      await laptop.next('peer_disconnected');
      const tookMs = performance.now() - start;
      await annotate(`half-open peer: reported after ${tookMs.toFixed(0)} ms, HEARTBEAT_SECONDS=1`);
      expect(tookMs).toBeLessThan(BOUND_MS);
      // The phone was not notified, so its end of the connection is still open.
      expect(phone.socket.readyState).toBe(phone.socket.OPEN);
      expect(await laptop.sync()).toEqual([]);
    });

    test('is reported within three heartbeat periods also while its peer continues to send', async () => {
      const { laptop, phone, losePackets } = await serverInNetwork({ HEARTBEAT_SECONDS: '1' });
      await phone.join('room');
      await laptop.join('room');
      await laptop.next('room_ready');
      losePackets();
      const start = performance.now();
      const gone = laptop.next('peer_disconnected');
      const sending = setInterval(() => laptop.send({ type: 'webrtc_offer', sdp: 'v=0' }), 100);
      await gone.finally(() => clearInterval(sending));
      expect(performance.now() - start).toBeLessThan(BOUND_MS);
    });

    test('takes its seat over at once when it returns by another network, without waiting for the heartbeat', async ({
      annotate,
    }) => {
      const server = await serverInNetwork({ HEARTBEAT_SECONDS: '3600' });
      const { laptop, phone, losePackets } = server;
      await phone.join('room', 'phone');
      await laptop.join('room', 'laptop');
      await laptop.next('room_ready');
      losePackets();
      const start = performance.now();
      const again = await server.phoneAgain();
      expect(await again.join('room', 'phone')).toMatchObject({ ready: true, isInitiator: true });
      await again.next('room_ready');
      await laptop.next('peer_disconnected');
      expect(await laptop.next('room_ready')).toMatchObject({ isInitiator: false });
      await annotate(`take-over of a half-open seat: ${(performance.now() - start).toFixed(0)} ms`);
      laptop.send({ type: 'webrtc_answer', sdp: 'v=0' });
      expect(await again.next('webrtc_answer')).toMatchObject({ sdp: 'v=0' });
    });
  });
});
