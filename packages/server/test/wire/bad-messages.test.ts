// Invalid messages get an error with a stable code, and the connection stays usable. docs/protocol.md §4.
import { randomUUID } from 'node:crypto';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { wsUrl } = await serverUnderTest();

/** A candidate with an extra member, nested so that the message has this many levels in all. */
const nested = (levels: number) =>
  `{"type":"ice_candidate","candidate":{"candidate":"","x":${'['.repeat(levels - 2)}${']'.repeat(levels - 2)}}}`;

test.each([
  ['not JSON', '{type:'],
  ['an empty frame', ''],
  ['a JSON string', '"join_room"'],
  ['a JSON array', '[]'],
  ['JSON null', 'null'],
  ['JSON nested 33 levels deep', nested(33)],
  ['JSON nested 5000 levels deep', nested(5000)],
  ['JSON nested 20,000 levels deep', nested(20_000)],
  ['JSON with 2000 members', JSON.stringify({ type: 'ping', x: Array(2000).fill(0) })],
  ['a second byte order mark', '\ufeff\ufeff{"type":"ping"}'],
])('%s is Invalid JSON format', async (_case, text) => {
  const peer = await Peer.connect(wsUrl);
  peer.send(text);
  expect(await peer.next()).toEqual({
    type: 'error',
    error: 'Invalid JSON format',
    code: 'invalid_json',
  });
  expect(await peer.sync()).toEqual([]);
});

test('a binary frame is Invalid JSON format', async () => {
  const peer = await Peer.connect(wsUrl);
  peer.socket.send(Buffer.from('{"type":"ping"}'));
  expect(await peer.next()).toMatchObject({ code: 'invalid_json' });
});

test.each([
  ['dance', 'Unknown message type: dance'],
  ['__proto__', 'Unknown message type: __proto__'],
  ['constructor', 'Unknown message type: constructor'],
  ['x'.repeat(100), `Unknown message type: ${'x'.repeat(64)}`],
  [`${'x'.repeat(63)}😀`, `Unknown message type: ${'x'.repeat(63)}`],
  [`${'x'.repeat(62)}😀😀`, `Unknown message type: ${'x'.repeat(62)}😀`],
  ['\ud800x\udc00', 'Unknown message type: \ufffdx\ufffd'],
  [7, 'Unknown message type: number'],
  [undefined, 'Unknown message type: undefined'],
])('type %j is an unknown message type', async (type, error) => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type });
  expect(await peer.next()).toEqual({ type: 'error', error, code: 'unknown_message_type' });
});

test.each([
  [{ type: 'webrtc_offer' }, 'Invalid sdp', 'invalid_sdp'],
  [{ type: 'webrtc_answer', sdp: 7 }, 'Invalid sdp', 'invalid_sdp'],
  [{ type: 'webrtc_answer', sdp: 'v=0', mac: 7 }, 'Invalid mac', 'invalid_mac'],
  [{ type: 'ice_candidate' }, 'Invalid candidate', 'invalid_candidate'],
  [{ type: 'ice_candidate', candidate: 'candidate:1' }, 'Invalid candidate', 'invalid_candidate'],
  [
    { type: 'ice_candidate', candidate: { candidate: 7 } },
    'Invalid candidate',
    'invalid_candidate',
  ],
  [
    { type: 'ice_candidate', candidate: { sdpMLineIndex: '0' } },
    'Invalid candidate',
    'invalid_candidate',
  ],
  [{ type: 'key_exchange' }, 'Invalid publicKey', 'invalid_public_key'],
  [{ type: 'key_exchange', publicKey: '' }, 'Invalid publicKey', 'invalid_public_key'],
  [
    { type: 'key_exchange', publicKey: 'A', sessionId: 7 },
    'Invalid sessionId',
    'invalid_session_id',
  ],
  [{ type: 'key_exchange_complete', timestamp: {} }, 'Invalid timestamp', 'invalid_timestamp'],
])('%j is refused, and the peer receives nothing of it', async (message, error, code) => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  first.send(message);
  expect(await first.next()).toEqual({ type: 'error', error, code });
  expect(await second.sync()).toEqual([]);
});

test('a byte order mark before a message is ignored, as before a body of REST', async () => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  first.send('\ufeff{"type":"ice_candidate","candidate":null}');
  expect(await second.next('ice_candidate')).toMatchObject({ candidate: null });
});

test('unknown fields are ignored', async () => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'ping', extra: { deep: [1] } });
  expect(await peer.next()).toEqual({ type: 'pong' });
});
