// Performs every Redis operation of Couplet with two nodes and one pair, so that any refused command is found.
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { Peer } from '@couplet/testkit/peer';
import { expect } from 'vitest';

type Nodes = readonly [{ url: string }, { url: string }];

export async function exercise(nodes: Nodes): Promise<void> {
  await pairing(nodes);
  await rooms(nodes);
  for (const { url } of nodes) {
    expect((await call(url, 'GET', '/rooms')).status).toBe(200);
    expect((await fetch(`${url}/metrics`)).status).toBe(200);
    expect((await call(url, 'GET', '/readyz')).status).toBe(200);
  }
}

async function pairing([{ url: one }, { url: other }]: Nodes): Promise<void> {
  const [joinid, client1, client2] = [someCode(), someDevice(), someDevice()];
  const create = { joinid, client1, expiresInSeconds: 60 };
  const keyed = () => ({ 'idempotency-key': randomUUID() });
  const statusOf = async (...args: Parameters<typeof call>) => (await call(...args)).status;

  expect(await statusOf(one, 'POST', '/api/rooms', create, keyed())).toBe(201);
  expect(await statusOf(other, 'POST', '/api/rooms', create)).toBe(201);
  expect(await statusOf(other, 'POST', '/api/rooms', { ...create, client1: client2 })).toBe(409);
  expect(await statusOf(one, 'POST', '/api/rooms/check', { joinid, client1 })).toBe(204);
  const unknown = { joinid: someCode(), client2 };
  expect(await statusOf(other, 'POST', '/api/rooms/accept', unknown)).toBe(404);

  const wait = { prefer: 'wait=20', ...keyed() };
  const held = call(one, 'POST', '/api/rooms/check', { joinid, client1 }, wait);
  // Waits until it is held. If it is not held yet, the test only covers less.
  await delay(100);
  const repeated = keyed();
  const accept = { joinid, client2 };
  const accepted = await call(other, 'POST', '/api/rooms/accept', accept, repeated);
  expect(accepted.status).toBe(200);
  const again = await call(one, 'POST', '/api/rooms/accept', accept, repeated);
  expect(again.body).toEqual(accepted.body);
  const { roomid } = accepted.body as { roomid: string };
  expect(await held).toMatchObject({ status: 200, body: { roomid } });

  expect(await statusOf(other, 'GET', `/api/rooms?roomid=${roomid}`)).toBe(200);
  const asked = await call(one, 'POST', '/api/ice-servers', { roomid, clientid: client1 }, keyed());
  expect(asked.status).toBeLessThan(500);
  expect(await statusOf(one, 'DELETE', '/api/rooms', { roomid })).toBe(200);

  const pair = await pairDevices(one);
  await createPending(one, { client1: pair.client1 });
  const purge = { deviceIds: [pair.client1, pair.client2] };
  expect(await statusOf(other, 'POST', '/api/user/purge', purge, keyed())).toBe(200);
  expect(await statusOf(one, 'GET', `/api/rooms?roomid=${pair.roomid}`)).toBe(404);
}

async function rooms([one, other]: Nodes): Promise<void> {
  const { roomid, client1, client2 } = await pairDevices(one.url);
  const connect = ({ url }: { url: string }) => Peer.connect(url.replace('http', 'ws'));
  const first = await connect(one);
  await first.join(roomid, client1);
  const second = await connect(other);
  await second.join(roomid, client2);
  await second.next('room_ready');
  await first.next('room_ready');
  first.send({ type: 'webrtc_offer', sdp: 'v=0\r\n' });
  await second.next('webrtc_offer');

  const third = await connect(one);
  third.send({ type: 'join_room', roomId: roomid });
  await third.next('room_full');
  const back = await connect(other);
  await back.join(roomid, client1);
  await back.next('room_ready');
  expect((await first.closed).code).toBe(4001);
  expect((await second.next()).type).toBe('peer_disconnected');
  await second.next('room_ready');
  back.send({ type: 'leave_room' });
  expect((await second.next()).type).toBe('peer_left');
  await second.close();
}
