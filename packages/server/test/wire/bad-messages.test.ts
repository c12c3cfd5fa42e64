// Messages the server cannot take: an error with a stable code, and the connection stays usable. docs/protocol.md §4.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { Peer, pairOfPeers } from '../support/peer.js';
import { serverUnderTest } from '../support/server.js';

const { wsUrl } = await serverUnderTest();

test.each([
  ['not JSON', '{type:'],
  ['an empty frame', ''],
  ['a JSON string', '"join_room"'],
  ['a JSON array', '[]'],
  ['JSON null', 'null'],
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
])('%j is refused, and the peer sees nothing of it', async (message, error, code) => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  first.send(message);
  expect(await first.next()).toEqual({ type: 'error', error, code });
  expect(await second.sync()).toEqual([]);
});

test('unknown fields are ignored', async () => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'ping', extra: { deep: [1] } });
  expect(await peer.next()).toEqual({ type: 'pong' });
});
