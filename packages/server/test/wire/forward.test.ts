// webrtc_offer, webrtc_answer, ice_candidate, key_exchange, key_exchange_complete: docs/protocol.md §4.
import { randomUUID } from 'node:crypto';
import { Peer, pairOfPeers, textOf } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { wsUrl } = await serverUnderTest();

const MESSAGES = [
  { type: 'webrtc_offer', sdp: 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n' },
  { type: 'webrtc_answer', sdp: 'v=0\r\n' },
  { type: 'webrtc_offer', sdp: 'v=0\r\n', mac: 'c2VhbA' },
  { type: 'webrtc_answer', sdp: 'v=0 é', mac: 'c2VhbA' },
  { type: 'webrtc_answer', sdp: 'v=0', mac: null },
  {
    type: 'ice_candidate',
    candidate: {
      candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host',
      sdpMLineIndex: 0,
      sdpMid: '0',
    },
  },
  { type: 'ice_candidate', candidate: { candidate: '', sdpMLineIndex: 0, sdpMid: '0' } },
  { type: 'ice_candidate', candidate: null },
  { type: 'key_exchange', publicKey: 'AAAA', sessionId: 's', timestamp: 1.5 },
  { type: 'key_exchange', publicKey: 'AAAA' },
  { type: 'key_exchange_complete', sessionId: 's', timestamp: '2026-01-01T00:00:00Z' },
  { type: 'key_exchange_complete' },
];

test.each(MESSAGES)(
  '$type reaches the peer unchanged, with from and roomId, and is not echoed',
  async (message) => {
    const roomId = randomUUID();
    const [first, second] = await pairOfPeers(wsUrl, roomId);
    first.send(message);
    expect(await second.next()).toStrictEqual({ ...message, from: first.clientId, roomId });
    expect(await first.sync()).toEqual([]);
  },
);

test.each([
  '{"candidate":"","sdpMLineIndex":0,"x":9007199254740993}',
  '{"candidate":"1 \\" 2\\\\","x":[18446744073709551615,-0,1.0,1E3,1e400,0.10000000000000000001,"1.0"]}',
  '{"sdpMLineIndex":1.0,"sdpMid":null}',
])('numbers reach the peer in their original spelling: %s', async (candidate) => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  first.send(`{"type":"ice_candidate", "extra": 1.0, "candidate": ${candidate}}`);
  expect(textOf(await second.next('ice_candidate'))).toContain(`"candidate":${candidate},"from":`);
  first.send('{"type":"key_exchange_complete","timestamp":1700000000000000001}');
  const complete = textOf(await second.next('key_exchange_complete'));
  expect(complete).toContain('{"type":"key_exchange_complete","timestamp":1700000000000000001,');
});

test('the server sets from and roomId, and forwards only the fields of the schema', async () => {
  const roomId = randomUUID();
  const [first, second] = await pairOfPeers(wsUrl, roomId);
  first.send({ type: 'webrtc_offer', sdp: 'x', from: 'somebody', roomId: 'elsewhere', extra: 1 });
  expect(await second.next()).toStrictEqual({
    type: 'webrtc_offer',
    sdp: 'x',
    from: first.clientId,
    roomId,
  });
});

test('the messages of a sender arrive in order, each once', async () => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  for (let n = 0; n < 500; n++) first.send({ type: 'webrtc_offer', sdp: String(n) });
  for (let n = 0; n < 500; n++) expect((await second.next()).sdp).toBe(String(n));
  expect(await second.sync()).toEqual([]);
});

test('a message from a member who is alone is answered with an error', async () => {
  const peer = await Peer.connect(wsUrl);
  await peer.join(randomUUID());
  peer.send({ type: 'webrtc_offer', sdp: 'x' });
  expect(await peer.next()).toEqual({
    type: 'error',
    error: 'Room must have exactly 2 users for WebRTC',
    code: 'no_peer',
  });
});

test('a message from a connection without a room is answered with an error', async () => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'ice_candidate', candidate: null });
  expect(await peer.next()).toEqual({
    type: 'error',
    error: 'Not in a valid room for WebRTC signaling',
    code: 'not_in_room',
  });
});
