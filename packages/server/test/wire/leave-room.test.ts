// leave_room: left_room to the sender, peer_left to the peer. docs/protocol.md §4.
import { randomUUID } from 'node:crypto';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { wsUrl } = await serverUnderTest();

test('the sender gets left_room with the room, its peer gets peer_left', async () => {
  const roomId = randomUUID();
  const [first, second] = await pairOfPeers(wsUrl, roomId);
  first.send({ type: 'leave_room' });
  expect(await first.next()).toEqual({ type: 'left_room', roomId });
  expect(await second.next()).toEqual({ type: 'peer_left', message: 'Other user left the room' });
});

test('a client without a room gets left_room with null', async () => {
  const peer = await Peer.connect(wsUrl);
  peer.send({ type: 'leave_room' });
  expect(await peer.next()).toEqual({ type: 'left_room', roomId: null });
});

test('after leaving, the same room can be joined again, and the member who stayed is the initiator', async () => {
  const roomId = randomUUID();
  const [first, second] = await pairOfPeers(wsUrl, roomId);
  first.send({ type: 'leave_room' });
  await first.next('left_room');
  await second.next('peer_left');
  expect(await first.join(roomId)).toMatchObject({ userCount: 2, isInitiator: false });
  expect(await first.next()).toMatchObject({ type: 'room_ready', isInitiator: false });
  expect(await second.next()).toMatchObject({ type: 'room_ready', isInitiator: true });
});
