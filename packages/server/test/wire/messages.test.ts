// Messages: which are forwarded and how, and which are refused with a stable code. docs/protocol.md §4.
import { randomUUID } from 'node:crypto';
import { Peer, pairOfPeers, textOf } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { wsUrl } = await serverUnderTest();

const candidate = {
  candidate: 'candidate:1 1 udp 1 192.0.2.1 9 typ host',
  sdpMLineIndex: 0,
  sdpMid: '0',
};

test.each([
  { type: 'webrtc_offer', sdp: 'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\n' },
  { type: 'webrtc_answer', sdp: 'v=0\r\n' },
  { type: 'webrtc_offer', sdp: 'v=0\r\n', mac: 'c2VhbA' },
  { type: 'webrtc_answer', sdp: 'v=0 é', mac: 'c2VhbA' },
  { type: 'webrtc_answer', sdp: 'v=0', mac: null },
  { type: 'ice_candidate', candidate },
  { type: 'ice_candidate', candidate: { ...candidate, candidate: '' } },
  { type: 'ice_candidate', candidate: null },
  { type: 'key_exchange', publicKey: 'AAAA', sessionId: 's', timestamp: 1.5 },
  { type: 'key_exchange', publicKey: 'AAAA' },
  { type: 'key_exchange_complete', sessionId: 's', timestamp: '2026-01-01T00:00:00Z' },
  { type: 'key_exchange_complete' },
])(
  '%j reaches the peer unchanged, with from and roomId of the server, and is not echoed',
  async (message) => {
    const roomId = randomUUID();
    const [first, second] = await pairOfPeers(wsUrl, roomId);
    first.send(message);
    first.send({ ...message, from: 'somebody', roomId: 'elsewhere', extra: 1 });
    for (let n = 0; n < 2; n++) {
      expect(await second.next()).toStrictEqual({ ...message, from: first.clientId, roomId });
    }
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

test('a byte order mark before a message is ignored, as before a body of REST', async () => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  first.send('\ufeff{"type":"ice_candidate","candidate":null}');
  expect(await second.next('ice_candidate')).toMatchObject({ candidate: null });
});

test('the messages of a sender arrive in order, each once', async () => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  for (let n = 0; n < 500; n++) first.send({ type: 'webrtc_offer', sdp: String(n) });
  for (let n = 0; n < 500; n++) expect((await second.next()).sdp).toBe(String(n));
  expect(await second.sync()).toEqual([]);
});

/** A candidate with an extra member, nested so that the message has this many levels in all. */
const nested = (levels: number) =>
  `{"type":"ice_candidate","candidate":{"candidate":"","x":${'['.repeat(levels - 2)}${']'.repeat(levels - 2)}}}`;
const join = (roomId: unknown) => ({ type: 'join_room', roomId });
const device = (deviceId: unknown) => ({ ...join(randomUUID()), deviceId });

/** Code and text of an error → messages that get it from a member of a full room. Its peer receives nothing. */
const REFUSED: Record<string, (string | Buffer | object)[]> = {
  'invalid_json: Invalid JSON format': [
    '{type:',
    '',
    '"join_room"',
    '[]',
    'null',
    ...[33, 5000, 20_000].map(nested),
    { type: 'ping', x: Array(2000).fill(0) },
    '\ufeff\ufeff{"type":"ping"}',
    Buffer.from('{"type":"ping"}'),
  ],
  'unknown_message_type: Unknown message type: dance': [{ type: 'dance' }],
  'unknown_message_type: Unknown message type: __proto__': [{ type: '__proto__' }],
  'unknown_message_type: Unknown message type: constructor': [{ type: 'constructor' }],
  [`unknown_message_type: Unknown message type: ${'x'.repeat(64)}`]: [{ type: 'x'.repeat(100) }],
  [`unknown_message_type: Unknown message type: ${'x'.repeat(63)}`]: [
    { type: `${'x'.repeat(63)}😀` },
  ],
  [`unknown_message_type: Unknown message type: ${'x'.repeat(62)}😀`]: [
    { type: `${'x'.repeat(62)}😀😀` },
  ],
  'unknown_message_type: Unknown message type: \ufffdx\ufffd': [{ type: '\ud800x\udc00' }],
  'unknown_message_type: Unknown message type: number': [{ type: 7 }],
  'unknown_message_type: Unknown message type: undefined': [{}],
  'invalid_room_id: Invalid roomId': [
    ...[undefined, null, '', 7, {}, 'x'.repeat(257), 'é'.repeat(129), '\ud800'].map(join),
  ],
  'invalid_device_id: Invalid deviceId': [device(7), device('x'.repeat(257))],
  'invalid_sdp: Invalid sdp': [{ type: 'webrtc_offer' }, { type: 'webrtc_answer', sdp: 7 }],
  'invalid_mac: Invalid mac': [{ type: 'webrtc_answer', sdp: 'v=0', mac: 7 }],
  'invalid_candidate: Invalid candidate': [
    { type: 'ice_candidate' },
    { type: 'ice_candidate', candidate: 'candidate:1' },
    { type: 'ice_candidate', candidate: { candidate: 7 } },
    { type: 'ice_candidate', candidate: { sdpMLineIndex: '0' } },
  ],
  'invalid_public_key: Invalid publicKey': [
    { type: 'key_exchange' },
    { type: 'key_exchange', publicKey: '' },
  ],
  'invalid_session_id: Invalid sessionId': [{ type: 'key_exchange', publicKey: 'A', sessionId: 7 }],
  'invalid_timestamp: Invalid timestamp': [{ type: 'key_exchange_complete', timestamp: {} }],
};

test.each(Object.entries(REFUSED))('%s', async (expected, messages) => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  for (const message of messages) {
    if (message instanceof Buffer) first.socket.send(message);
    else first.send(message);
    const { type, code, error, ...more } = await first.next();
    expect([type, `${code}: ${error}`, more]).toEqual(['error', expected, {}]);
  }
  expect(await first.sync()).toEqual([]);
  expect(await second.sync()).toEqual([]);
});

test('a message without a peer or a room is answered with an error', async () => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'ice_candidate', candidate: null });
  expect(await peer.next()).toEqual({
    type: 'error',
    error: 'Not in a valid room for WebRTC signaling',
    code: 'not_in_room',
  });
  await peer.join(randomUUID());
  peer.send({ type: 'webrtc_offer', sdp: 'x' });
  expect(await peer.next()).toEqual({
    type: 'error',
    error: 'Room must have exactly 2 users for WebRTC',
    code: 'no_peer',
  });
});

test('unknown fields are ignored, and a device id of null or the empty string counts as missing', async () => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'ping', extra: { deep: [1] } });
  expect(await peer.next()).toEqual({ type: 'pong' });
  for (const deviceId of [null, '']) {
    peer.send(device(deviceId));
    await peer.next('room_joined');
  }
});

test.each(['my living room', 'λίμνη 🛶', '0', 'é'.repeat(128)])(
  '%s is a room id',
  async (roomId) => {
    const peer = await Peer.connect(wsUrl);
    expect(await peer.join(roomId)).toMatchObject({ roomId });
    peer.send({ type: 'leave_room' });
    await peer.next('left_room');
  },
);
