// join_room: room_joined, room_ready, room_full, changes of room and repeated joins. docs/protocol.md §5.
import { randomUUID } from 'node:crypto';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { wsUrl } = await serverUnderTest();

test('connected comes first, with the id of the connection and the name of the server', async () => {
  const peer = await Peer.connect(wsUrl);
  expect(peer.clientId).toMatch(/^[0-9a-f-]{36}$/);
  expect(await peer.sync()).toEqual([]);
});

test('the first member waits, and the second makes the room ready, for itself first and then for the first', async () => {
  const roomId = randomUUID();
  const first = await Peer.connect(wsUrl);
  expect(await first.join(roomId)).toEqual({
    type: 'room_joined',
    roomId,
    userCount: 1,
    isInitiator: true,
    ready: false,
  });
  const second = await Peer.connect(wsUrl);
  expect(await second.join(roomId)).toEqual({
    type: 'room_joined',
    roomId,
    userCount: 2,
    isInitiator: false,
    ready: true,
  });
  const ready = { type: 'room_ready', roomId, message: expect.any(String), userCount: 2 };
  expect(await second.next()).toEqual({ ...ready, isInitiator: false });
  expect(await first.next()).toEqual({ ...ready, isInitiator: true });
});

test('a third client gets room_full and stays usable', async () => {
  const roomId = randomUUID();
  const [first, second] = await pairOfPeers(wsUrl, roomId);
  const third = await Peer.connect(wsUrl);
  third.send({ type: 'join_room', roomId });
  expect(await third.next()).toEqual({
    type: 'room_full',
    error: 'Room is full (max 2 users)',
    code: 'room_full',
    roomId,
  });
  expect(await third.join(randomUUID())).toMatchObject({ userCount: 1 });
  expect(await first.sync()).toEqual([]);
  expect(await second.sync()).toEqual([]);
});

test('a client that is refused a seat in another room keeps its seat', async () => {
  const full = randomUUID();
  await pairOfPeers(wsUrl, full);
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  first.send({ type: 'join_room', roomId: full });
  expect((await first.next()).type).toBe('room_full');
  first.send({ type: 'webrtc_offer', sdp: 'still here' });
  expect(await second.next()).toMatchObject({ sdp: 'still here' });
});

test('joining another room leaves the old room, whose peer gets peer_left', async () => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  expect(await first.join(randomUUID())).toMatchObject({ userCount: 1, isInitiator: true });
  expect(await second.next()).toEqual({ type: 'peer_left', message: 'Other user left the room' });
  second.send({ type: 'webrtc_offer', sdp: 'x' });
  expect(await second.next()).toMatchObject({ type: 'error', code: 'no_peer' });
});

test('joining the current room is answered as a join, and the peer gets nothing', async () => {
  const roomId = randomUUID();
  const [first, second] = await pairOfPeers(wsUrl, roomId);
  expect(await first.join(roomId)).toMatchObject({ userCount: 2, isInitiator: true, ready: true });
  expect(await first.next()).toMatchObject({ type: 'room_ready', isInitiator: true });
  expect(await second.sync()).toEqual([]);
});

test.each([
  ['any text', 'my living room'],
  ['other scripts', 'λίμνη 🛶'],
  ['one character', '0'],
  ['256 bytes', 'é'.repeat(128)],
])('%s is a room id', async (_case, suffix) => {
  const roomId = suffix;
  const peer = await Peer.connect(wsUrl);
  expect(await peer.join(roomId)).toMatchObject({ roomId });
  peer.send({ type: 'leave_room' });
  await peer.next('left_room');
});

test.each([
  ['absent', undefined],
  ['null', null],
  ['empty', ''],
  ['a number', 7],
  ['an object', {}],
  ['257 bytes', 'x'.repeat(257)],
  ['more than 256 bytes of UTF-8', 'é'.repeat(129)],
  ['a lone surrogate', '\ud800'],
])('a room id that is %s is Invalid roomId', async (_case, roomId) => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'join_room', roomId });
  expect(await peer.next()).toEqual({
    type: 'error',
    error: 'Invalid roomId',
    code: 'invalid_room_id',
  });
});

test.each([
  ['a number', 7],
  ['257 bytes', 'x'.repeat(257)],
])('a device id that is %s is refused', async (_case, deviceId) => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'join_room', roomId: randomUUID(), deviceId });
  expect(await peer.next()).toMatchObject({ type: 'error', code: 'invalid_device_id' });
});

test.each([null, ''])('a device id of %j counts as missing', async (deviceId) => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'join_room', roomId: randomUUID(), deviceId });
  expect(await peer.next()).toMatchObject({ type: 'room_joined' });
});

test('messages in the same packet after a join are handled after it', async () => {
  const roomId = randomUUID();
  const first = await Peer.connect(wsUrl);
  await first.join(roomId);
  const second = await Peer.connect(wsUrl);
  const socket = (second.socket as unknown as { _socket: { cork(): void; uncork(): void } })
    ._socket;
  socket.cork();
  second.send({ type: 'join_room', roomId, deviceId: randomUUID() });
  for (let n = 0; n < 20; n++) second.send({ type: 'webrtc_offer', sdp: String(n) });
  second.send({ type: 'leave_room' });
  socket.uncork();
  await first.next('room_ready');
  for (let n = 0; n < 20; n++) expect((await first.next('webrtc_offer')).sdp).toBe(String(n));
  await first.next('peer_left');
  expect((await second.sync()).map(({ type }) => type)).toEqual([
    'room_joined',
    'room_ready',
    'left_room',
  ]);
});
