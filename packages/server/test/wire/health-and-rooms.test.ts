// GET / and GET /rooms: docs/protocol.md §3.
import { randomUUID } from 'node:crypto';
import { call } from '@couplet/testkit/api';
import { Peer, pairOfPeers } from '@couplet/testkit/peer';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { url, wsUrl } = await serverUnderTest();

test('GET / is a short page: text for a probe, HTML for a browser', async () => {
  const probe = await fetch(url);
  expect(probe.status).toBe(200);
  expect(probe.headers.get('content-type')).toMatch(/^text\/plain/);
  expect((await probe.text()).length).toBeLessThan(200);
  const page = await fetch(url, { headers: { accept: 'text/html,*/*;q=0.8' } });
  expect(page.status).toBe(200);
  expect(page.headers.get('content-type')).toMatch(/^text\/html/);
  const html = await page.text();
  expect(html).toMatch(/^<!doctype html>/);
  expect(html.length).toBeLessThan(4000);
});

test('HEAD / and GET /? answer 200 as well', async () => {
  expect((await fetch(url, { method: 'HEAD' })).status).toBe(200);
  expect((await fetch(`${url}/?probe=1`)).status).toBe(200);
});

test('GET /rooms lists the rooms with members, whether full or not', async () => {
  const [full, half] = [randomUUID(), randomUUID()];
  await pairOfPeers(wsUrl, full);
  await (await Peer.connect(wsUrl)).join(half);
  const answer = await call(url, 'GET', '/rooms');
  expect(answer.status).toBe(200);
  const rooms = answer.body?.rooms as { roomId: string }[];
  expect(rooms).toContainEqual({ roomId: full, userCount: 2, full: true });
  expect(rooms).toContainEqual({ roomId: half, userCount: 1, full: false });
  expect(answer.body).toStrictEqual({ rooms, totalRooms: rooms.length });
});

test('a room that all members have left is not listed', async () => {
  const roomId = randomUUID();
  const peer = await Peer.connect(wsUrl);
  await peer.join(roomId);
  peer.send({ type: 'leave_room' });
  await peer.next('left_room');
  const { rooms } = (await call(url, 'GET', '/rooms')).body as { rooms: { roomId: string }[] };
  expect(rooms.map((room) => room.roomId)).not.toContain(roomId);
});
