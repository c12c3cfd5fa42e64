// The iOS client with the server: its whole life cycle.

import { call } from '@couplet/testkit/api';
import type { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, test } from 'vitest';
import { answerSdp, candidatesOf, IosClient, offerSdp } from '../support/ios-client.js';

const server = await startServer();
afterAll(() => server.close());
const alice = new IosClient(server);
const bob = new IosClient(server);

/** Sends keys, offer, answer and candidates in the app's order. Each message must reach the peer unchanged. */
async function negotiate(offerer: Peer, answerer: Peer, roomId: string): Promise<void> {
  const expectNext = async (to: Peer, from: Peer, message: object) =>
    expect(await to.next()).toStrictEqual({ ...message, from: from.clientId, roomId });
  for (const [from, to, client] of [
    [offerer, answerer, alice],
    [answerer, offerer, bob],
  ] as const) {
    client.exchangeKeys(from);
    const key = await to.next('key_exchange');
    expect(key).toMatchObject({ publicKey: client.publicKey, from: from.clientId, roomId });
    const { sessionId, timestamp } = key;
    await expectNext(to, from, { type: 'key_exchange_complete', sessionId, timestamp });
  }
  for (const [from, to, description, port] of [
    [offerer, answerer, { type: 'webrtc_offer', sdp: offerSdp }, 50_001],
    [answerer, offerer, { type: 'webrtc_answer', sdp: answerSdp }, 50_002],
  ] as const) {
    from.send(description);
    for (const candidate of candidatesOf(port)) from.send({ type: 'ice_candidate', candidate });
    await expectNext(to, from, description);
    for (const candidate of candidatesOf(port)) {
      await expectNext(to, from, { type: 'ice_candidate', candidate });
    }
  }
  expect(await offerer.syncByFrame()).toEqual([]);
  expect(await answerer.syncByFrame()).toEqual([]);
}

test('a complete life cycle works, from the first probe to the purge', async () => {
  expect((await fetch(`${server.url}/`)).ok).toBe(true);
  const hers = await alice.create();
  expect(await alice.check(hers)).toBe('waiting');
  const his = await bob.accept(hers.joinid);
  const her = await alice.enter({ ...hers, roomid: his.roomid });
  // The app polls again each time it is connected.
  expect(await alice.check(hers)).toBe('paired');
  expect(hers.roomid).toBe(his.roomid);
  const him = await bob.enter(his);
  await him.connection.next('room_ready');
  await her.connection.next('room_ready');
  await negotiate(her.connection, him.connection, his.roomid);

  her.connection.send({ type: 'leave_room' });
  await her.connection.next('left_room');
  await him.connection.next('peer_left');
  await her.connection.join(his.roomid, hers.deviceId);
  await her.connection.next('room_ready');
  await him.connection.next('room_ready');

  him.connection.socket.pause();
  const moved = await bob.enter(his);
  await moved.connection.next('room_ready');
  await her.connection.next('peer_disconnected');
  await her.connection.next('room_ready');
  await negotiate(her.connection, moved.connection, his.roomid);

  await Promise.all([her.connection.close(), moved.connection.close()]);
  expect(await bob.contact(his)).toBe('there');
  // The app also reports that the user has opened it.
  const { deviceId } = hers;
  expect((await call(server.url, 'POST', '/api/badge/reset', { deviceId })).status).toBe(200);
  const purged = await call(server.url, 'POST', '/api/user/purge', { deviceIds: [deviceId] });
  expect(purged.body).toMatchObject({ roomsDeleted: 1, pendingsDeleted: 0 });
  expect(await bob.contact(his)).toBe('closed');
});
