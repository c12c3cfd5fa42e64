// join_room with the deviceId of a present member: its seat passes to the new connection. docs/protocol.md §5.
import { randomUUID } from 'node:crypto';
import { Peer } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { wsUrl } = await serverUnderTest();

async function roomWithDevices(): Promise<{
  roomId: string;
  device: string;
  first: Peer;
  second: Peer;
}> {
  const roomId = randomUUID();
  const device = randomUUID();
  const first = await Peer.connect(wsUrl);
  await first.join(roomId, device);
  const second = await Peer.connect(wsUrl);
  await second.join(roomId, randomUUID());
  await second.next('room_ready');
  await first.next('room_ready');
  return { roomId, device, first, second };
}

test('the old connection is closed with 4001, the new one gets its seat and role, and the peer sees it leave and return', async () => {
  const { roomId, device, first, second } = await roomWithDevices();
  const again = await Peer.connect(wsUrl);
  expect(await again.join(roomId, device)).toMatchObject({
    userCount: 2,
    isInitiator: true,
    ready: true,
  });
  expect(await again.next()).toMatchObject({ type: 'room_ready', isInitiator: true });
  expect(await first.closed).toEqual({ code: 4001, reason: 'replaced' });
  expect(await second.next()).toMatchObject({ type: 'peer_disconnected' });
  expect(await second.next()).toMatchObject({ type: 'room_ready', isInitiator: false });
  second.send({ type: 'webrtc_answer', sdp: 'for the new one' });
  expect(await again.next()).toMatchObject({ sdp: 'for the new one', from: second.clientId });
  expect(await second.sync()).toEqual([]);
});

test('late messages of the replaced connection reach no one', async () => {
  const { roomId, device, first, second } = await roomWithDevices();
  const again = await Peer.connect(wsUrl);
  first.send({ type: 'ping' });
  await first.next('pong');
  await again.join(roomId, device);
  if (first.socket.readyState === first.socket.OPEN)
    first.send({ type: 'webrtc_offer', sdp: 'late' });
  await first.closed;
  expect((await second.sync()).map(({ type }) => type)).toEqual([
    'peer_disconnected',
    'room_ready',
  ]);
});

test('a device that is alone in its room takes over its own seat', async () => {
  const roomId = randomUUID();
  const device = randomUUID();
  const first = await Peer.connect(wsUrl);
  await first.join(roomId, device);
  const again = await Peer.connect(wsUrl);
  expect(await again.join(roomId, device)).toMatchObject({ userCount: 1, isInitiator: true });
  expect(await first.closed).toMatchObject({ code: 4001 });
  expect(await again.sync()).toEqual([]);
});
