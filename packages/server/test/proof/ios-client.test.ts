// All steps of the iOS client with the server: connecting, roles, keys, changes of network.

import { call, someDevice } from '@couplet/testkit/api';
import type { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { afterAll, describe, expect, test } from 'vitest';
import { answerSdp, candidatesOf, IosClient, offerSdp, pairApps } from '../support/ios-client.js';

const server = await startServer();
afterAll(() => server.close());
const alice = new IosClient(server);
const bob = new IosClient(server);

/** Joins both devices, `first` before the other, and takes all messages of the joins. */
async function together(first: 'client1' | 'client2' = 'client1') {
  const { hers, his } = await pairApps(alice, bob);
  const enter = {
    client1: () => alice.enter(hers),
    client2: () => bob.enter(his),
  };
  const earlier = await enter[first]();
  const later = await enter[first === 'client1' ? 'client2' : 'client1']();
  const [visit1, visit2] = first === 'client1' ? [earlier, later] : [later, earlier];
  const ready = {
    client1: await visit1.connection.next('room_ready'),
    client2: await visit2.connection.next('room_ready'),
  };
  const joined = { client1: visit1.joined, client2: visit2.joined };
  return { hers, his, her: visit1.connection, him: visit2.connection, joined, ready };
}

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
  expect(await alice.probe()).toBe(true);
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

  expect(await bob.contact(his)).toBe('there');
  expect((await alice.purge([hers])).body).toMatchObject({ roomsDeleted: 1, pendingsDeleted: 0 });
  expect(await bob.contact(his)).toBe('closed');
});

test('an idle connection gets an answer to each of its ping frames, and nothing else', async () => {
  const { hers } = await pairApps(alice, bob);
  const { connection } = await alice.enter(hers);
  for (let ping = 0; ping < 50; ping++) expect(await connection.syncByFrame()).toEqual([]);
});

describe.each(['client1', 'client2'] as const)('when %s joins first', (first) => {
  test('client1 is the initiator and client2 is not, after joining and when both are present', async () => {
    const { joined, ready } = await together(first);
    expect(joined.client1).toMatchObject({ isInitiator: true, ready: first === 'client2' });
    expect(joined.client2).toMatchObject({ isInitiator: false, ready: first === 'client1' });
    expect(ready.client1).toMatchObject({ userCount: 2, isInitiator: true });
    expect(ready.client2).toMatchObject({ userCount: 2, isInitiator: false });
  });

  test('keys are sent before the offer, and all messages reach the peer', async () => {
    const { hers, her, him } = await together(first);
    await negotiate(her, him, hers.roomid);
  });

  test('each keeps the role that it got when it first joined alone', async () => {
    const { hers, his } = await pairApps(alice, bob);
    const visits = {
      client1: () => alice.enter(hers),
      client2: () => bob.enter(his),
    };
    const second = first === 'client1' ? 'client2' : 'client1';
    // The app keeps the first role that it gets forever.
    const remembered: Record<string, unknown> = {};
    for (const who of [first, second] as const) {
      const { connection, joined } = await visits[who]();
      expect(joined).toMatchObject({ userCount: 1, ready: false });
      remembered[who] = joined.isInitiator;
      await connection.close();
      await expect
        .poll(async () => (await call(server.url, 'GET', '/rooms')).body?.rooms)
        .not.toContainEqual(expect.objectContaining({ roomId: hers.roomid }));
    }
    expect(remembered).toEqual({ client1: true, client2: false });
    const earlier = await visits[second]();
    const later = await visits[first]();
    expect(await later.connection.next('room_ready')).toMatchObject({
      isInitiator: remembered[first],
    });
    expect(await earlier.connection.next('room_ready')).toMatchObject({
      isInitiator: remembered[second],
    });
  });
});

test('leave_room is answered within a second, and the app can join again', async () => {
  const { hers, her, him } = await together();
  const asked = performance.now();
  her.send({ type: 'leave_room' });
  expect(await her.next()).toEqual({ type: 'left_room', roomId: hers.roomid });
  expect(performance.now() - asked).toBeLessThan(1000);
  expect((await him.next()).type).toBe('peer_left');
  expect(await her.join(hers.roomid, hers.deviceId)).toMatchObject({ isInitiator: true });
  expect(await her.next('room_ready')).toMatchObject({ isInitiator: true });
  expect(await him.next('room_ready')).toMatchObject({ isInitiator: false });
});

test('leave_room is answered at once also for a connection without a room', async () => {
  const connection = await alice.dial();
  connection.send({ type: 'leave_room' });
  expect(await connection.next()).toEqual({ type: 'left_room', roomId: null });
});

test('a third device gets room_full, and the two members get no message', async () => {
  const { hers, her, him } = await together();
  const third = await new IosClient(server).dial();
  third.send({ type: 'join_room', roomId: hers.roomid, deviceId: someDevice() });
  expect(await third.next()).toMatchObject({ type: 'room_full', roomId: hers.roomid });
  expect(await her.syncByFrame()).toEqual([]);
  expect(await him.syncByFrame()).toEqual([]);
  await negotiate(her, him, hers.roomid);
});

test.each(['client1', 'client2'] as const)(
  'when %s changes networks, it takes its seat over from its half-open connection',
  async (mover) => {
    const { hers, his, her, him } = await together();
    const [client, session, old, peer] =
      mover === 'client1' ? ([alice, hers, her, him] as const) : ([bob, his, him, her] as const);
    const isInitiator = mover === 'client1';
    // Half-open: the server's end is open, and the other end neither reads nor answers.
    old.socket.pause();

    const { connection, joined } = await client.enter(session);
    expect(joined).toMatchObject({ userCount: 2, isInitiator, ready: true });
    expect(await connection.next('room_ready')).toMatchObject({ isInitiator });
    expect((await peer.next()).type).toBe('peer_disconnected');
    expect(await peer.next('room_ready')).toMatchObject({ isInitiator: !isInitiator });
    const [offerer, answerer] = isInitiator ? [connection, peer] : [peer, connection];
    await negotiate(offerer, answerer, hers.roomid);

    old.socket.resume();
    expect(await old.closed).toEqual({ code: 4001, reason: 'replaced' });
    // The end of the half-open connection causes no message.
    expect(await connection.syncByFrame()).toEqual([]);
    expect(await peer.syncByFrame()).toEqual([]);
  },
);

test('a device that changes networks while alone gets its seat back, and its peer meets the new connection', async () => {
  const { hers, his } = await pairApps(alice, bob);
  const ghost = await bob.enter(his);
  ghost.connection.socket.pause();
  const { connection, joined } = await bob.enter(his);
  expect(joined).toMatchObject({ userCount: 1, isInitiator: false, ready: false });
  const her = await alice.enter(hers);
  expect(await her.connection.next('room_ready')).toMatchObject({ isInitiator: true });
  expect(await connection.next('room_ready')).toMatchObject({ isInitiator: false });
});
