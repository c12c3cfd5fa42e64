// The iOS client with the server: its whole life cycle, and the meaning of each status for it.

import type { Peer } from '@couplet/testkit/peer';
import { serverForTest, startServer } from '@couplet/testkit/server';
import { afterAll, expect, test } from 'vitest';
import { Unavailable } from '../../src/base/failures.js';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';
import { answerSdp, candidatesOf, IosClient, offerSdp, pairApps } from '../support/ios-client.js';
import { brokenStore } from '../support/stores.js';

const store = openSqliteStore(':memory:');
const server = await startServer({}, { store });
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

test('each contact has the push tokens of both apps, and a changed token replaces the first', async () => {
  const { hers, his } = await pairApps(alice, bob);
  const tokensOf = async (session: { deviceId: string }) => {
    const outcome = await store.claimPush(his.roomid, session.deviceId, 0, Date.now());
    return outcome.kind === 'claimed' ? outcome.target : outcome;
  };
  const first = alice.token;
  expect(await tokensOf(hers)).toEqual({ platform: 'ios', token: first });
  expect(await tokensOf(his)).toEqual({ platform: 'ios', token: bob.token });
  alice.token = `${first}00`;
  expect((await alice.renewToken(hers)).status).toBe(200);
  expect(await tokensOf(hers)).toEqual({ platform: 'ios', token: `${first}00` });
  expect(await alice.resetBadge(hers)).toMatchObject({ status: 200, body: { ok: true } });
});

test('an idle connection gets an answer to each of its ping frames, and nothing else', async () => {
  const { hers } = await pairApps(alice, bob);
  const { connection } = await alice.enter(hers);
  for (let ping = 0; ping < 50; ping++) expect(await connection.syncByFrame()).toEqual([]);
});

test('a contact remains while both devices are disconnected', async () => {
  const { hers, his } = await pairApps(alice, bob);
  const her = await alice.enter(hers);
  const him = await bob.enter(his);
  await Promise.all([her.connection.close(), him.connection.close()]);
  expect(await alice.contact(hers)).toBe('there');
  expect(await bob.contact(his)).toBe('there');
});

test('an unreachable store is answered 503, so that the app tries again', async () => {
  const { hers } = await pairApps(alice, bob);
  const store = brokenStore(() => new Unavailable(new Error()));
  const client = new IosClient(await serverForTest({}, { store }));
  expect(await client.check(hers)).toBe('ask again');
  expect(await client.contact(hers)).toBe('ask again');
  for (const answer of [await client.checkAnswer(hers), await client.contactAnswer(hers)]) {
    expect(answer.status).toBe(503);
    expect(answer.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(answer.body).toEqual({ error: 'unavailable' });
  }
});
