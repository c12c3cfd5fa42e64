// Roles in a paired room: client1 is the initiator and client2 is not, in any order of arrival. docs/protocol.md §5.

import { pairDevices } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { url, wsUrl } = await serverUnderTest();

/** Two peers join in this order, as these devices; returns the `room_ready` of each. */
async function rolesOf(
  roomId: string,
  devices: readonly (string | undefined)[],
): Promise<boolean[]> {
  const first = await Peer.connect(wsUrl);
  await first.join(roomId, devices[0]);
  const second = await Peer.connect(wsUrl);
  await second.join(roomId, devices[1]);
  const secondReady = await second.next('room_ready');
  const firstReady = await first.next('room_ready');
  return [firstReady.isInitiator, secondReady.isInitiator] as boolean[];
}

test.each([
  ['client1 and then client2', 'client1', 'client2', [true, false]],
  ['client2 and then client1', 'client2', 'client1', [false, true]],
  [
    'a member without a device id, which gets the remaining role',
    undefined,
    'client1',
    [false, true],
  ],
  ['a member without a device id, and then client2', undefined, 'client2', [true, false]],
  ['two unknown members, whose order of arrival decides', undefined, undefined, [true, false]],
] as const)('the roles of %s', async (_who, first, second, initiates) => {
  const { roomid, ...ids } = await pairDevices(url);
  expect(await rolesOf(roomid, [first && ids[first], second && ids[second]])).toEqual(initiates);
});

test('a member that comes first and alone gets the role that it keeps', async () => {
  const { roomid, client1, client2 } = await pairDevices(url);
  for (const [device, initiates] of [
    [client2, false],
    [client1, true],
  ] as const) {
    const alone = await Peer.connect(wsUrl);
    expect(await alone.join(roomid, device)).toMatchObject({
      userCount: 1,
      isInitiator: initiates,
    });
    alone.send({ type: 'leave_room' });
    await alone.next('left_room');
  }
  expect(await rolesOf(roomid, [client2, client1])).toEqual([false, true]);
});
