// Half-open connections (RFC 9293 §3.5.1): a phone that no packet reaches any more (contract §3, peer_disconnected and takeover).
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { startTcpProxy } from '@couplet/testkit/tcp-proxy';
import { expect, onTestFinished, test } from 'vitest';

/** A laptop and a phone in one room. `lose` keeps the connection of the phone open, and forwards nothing more on it. */
async function laptopAndPhone() {
  // Its time moves only in the test.
  const clock = new FakeClock();
  const { url, wsUrl, close } = await startServer({ HEARTBEAT_SECONDS: '25' }, { clock });
  onTestFinished(close);
  const { port, strand, close: closeProxy } = await startTcpProxy(Number(new URL(url).port));
  onTestFinished(closeProxy);
  const phone = await Peer.connect(`ws://127.0.0.1:${port}`);
  await phone.join('room', 'phone');
  const laptop = await Peer.connect(wsUrl);
  await laptop.join('room', 'laptop');
  await laptop.next('room_ready');
  return { wsUrl, clock, phone, laptop, lose: strand };
}

test.each([
  ['', false],
  [' also while its peer continues to send', true],
])(
  'is dropped within three heartbeat periods, and the peer gets peer_disconnected%s',
  async (_, isSending) => {
    const { clock, phone, laptop, lose } = await laptopAndPhone();
    lose();
    for (let period = 0; period < 3; period++) {
      if (isSending) laptop.send({ type: 'webrtc_offer', sdp: 'v=0' });
      expect(await laptop.sync()).toEqual([]);
      clock.advance(25_000);
    }
    expect(await laptop.sync()).toMatchObject([{ type: 'peer_disconnected' }]);
    // The phone was not notified, so its end of the connection is still open.
    expect(phone.socket.readyState).toBe(phone.socket.OPEN);
  },
);

test('takes its seat over at once when it returns by another network, without waiting for the heartbeat', async () => {
  const { wsUrl, laptop, lose } = await laptopAndPhone();
  lose();
  const again = await Peer.connect(wsUrl);
  expect(await again.join('room', 'phone')).toMatchObject({ ready: true, isInitiator: true });
  await again.next('room_ready');
  await laptop.next('peer_disconnected');
  expect(await laptop.next('room_ready')).toMatchObject({ isInitiator: false });
  laptop.send({ type: 'webrtc_answer', sdp: 'v=0' });
  expect(await again.next('webrtc_answer')).toMatchObject({ sdp: 'v=0' });
});
