// A peer that disconnects without leaving: peer_disconnected, at once for a closed socket. docs/protocol.md §5.
import { randomUUID } from 'node:crypto';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { wsUrl } = await serverUnderTest();
const GONE = { type: 'peer_disconnected', message: 'Other user disconnected' };

test('a closed connection is reported to the peer', async () => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  await first.close();
  expect(await second.next()).toEqual(GONE);
});

test('a connection cut without a closing handshake is reported to the peer', async () => {
  const [first, second] = await pairOfPeers(wsUrl, randomUUID());
  first.socket.terminate();
  expect(await second.next()).toEqual(GONE);
});

test('the seat is free again, and the member who stayed is the initiator', async () => {
  const roomId = randomUUID();
  const [first, second] = await pairOfPeers(wsUrl, roomId);
  await first.close();
  await second.next('peer_disconnected');
  const third = await Peer.connect(wsUrl);
  expect(await third.join(roomId)).toMatchObject({ userCount: 2, isInitiator: false });
  await third.next('room_ready');
  expect(await second.next()).toMatchObject({ type: 'room_ready', isInitiator: true });
});

test('a client that disconnects during its join leaves no member behind', async () => {
  const roomId = randomUUID();
  const ghost = await Peer.connect(wsUrl);
  ghost.send({ type: 'join_room', roomId, deviceId: randomUUID() });
  ghost.socket.terminate();
  await ghost.closed;
  // The server handles the frame and the end of the socket asynchronously. Each poll is a round trip; few are needed.
  const [first, second] = [await Peer.connect(wsUrl), await Peer.connect(wsUrl)];
  await first.join(roomId);
  second.send({ type: 'join_room', roomId });
  while ((await second.next()).type === 'room_full') second.send({ type: 'join_room', roomId });
  expect(await second.sync()).toMatchObject([{ type: 'room_ready' }]);
});
