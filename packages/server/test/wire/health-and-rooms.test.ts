// GET / and GET /rooms: docs/protocol.md §3.
import { randomUUID } from 'node:crypto';
import { afterAll, describe, expect, test } from 'vitest';
import { call } from '../support/api.js';
import { Peer, pairOfPeers } from '../support/peer.js';
import { serverUnderTest, startServer } from '../support/server.js';

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

test('a room that everybody left is not listed', async () => {
  const roomId = randomUUID();
  const peer = await Peer.connect(wsUrl);
  await peer.join(roomId);
  peer.send({ type: 'leave_room' });
  await peer.next('left_room');
  const { rooms } = (await call(url, 'GET', '/rooms')).body as { rooms: { roomId: string }[] };
  expect(rooms.map((room) => room.roomId)).not.toContain(roomId);
});

const TOKEN = 'correct horse battery staple';
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

describe('GET /rooms in production', async () => {
  const server = await startServer({ PRODUCTION: '1', ADMIN_TOKEN: TOKEN });
  afterAll(() => server.close());

  test.each([
    ['nothing', {}],
    ['a wrong token', bearer('correct horse battery stable')],
    ['the token with more behind it', bearer(`${TOKEN} `.padEnd(40, 'x'))],
    ['an empty token', bearer('')],
    ['the bare token', { authorization: TOKEN }],
    ['the token as a password', { authorization: `Basic ${btoa(`admin:${TOKEN}`)}` }],
  ])('is 401 for who shows %s', async (_name, headers) => {
    const answer = await call(server.url, 'GET', '/rooms', undefined, headers);
    expect(answer.status).toBe(401);
    expect(answer.body).toStrictEqual({ error: 'unauthorized' });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('is 200 for the admin', async () => {
    const answer = await call(server.url, 'GET', '/rooms', undefined, bearer(TOKEN));
    expect(answer.status).toBe(200);
    expect(answer.body).toStrictEqual({ rooms: [], totalRooms: 0 });
  });

  test('is 401 for everybody where no admin token is set', async () => {
    const closed = await startServer({ PRODUCTION: '1' });
    for (const headers of [{}, bearer('')]) {
      expect((await call(closed.url, 'GET', '/rooms', undefined, headers)).status).toBe(401);
    }
    await closed.close();
  });
});

test('an admin token closes GET /rooms outside production too', async () => {
  const server = await startServer({ ADMIN_TOKEN: TOKEN });
  expect((await call(server.url, 'GET', '/rooms')).status).toBe(401);
  expect((await call(server.url, 'GET', '/rooms', undefined, bearer(TOKEN))).status).toBe(200);
  await server.close();
});
