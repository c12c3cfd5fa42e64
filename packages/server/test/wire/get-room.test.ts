// GET /api/rooms?roomid=: docs/protocol.md §3.
import { randomBytes } from 'node:crypto';
import { call, pairDevices } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { url } = await serverUnderTest();
const get = (query: string) => call(url, 'GET', `/api/rooms${query}`);
const someRoom = () => randomBytes(24).toString('hex');

test('every GET of a room returns its id and its two devices', async () => {
  const { roomid, client1, client2 } = await pairDevices(url);
  for (let n = 0; n < 3; n++) {
    const answer = await get(`?roomid=${roomid}`);
    expect(answer.status).toBe(200);
    expect(answer.body).toStrictEqual({ roomid, client1, client2 });
  }
});

test('an unknown room is 404 not_found', async () => {
  const answer = await get(`?roomid=${someRoom()}`);
  expect(answer.status).toBe(404);
  expect(answer.body).toStrictEqual({ error: 'not_found' });
});

test.each(['', '?', '?roomid', '?roomid=', '?roomId=x', '?x=roomid'])(
  'no roomid in “%s”: 400 missing_field',
  async (query) => {
    const answer = await get(query);
    expect(answer.status).toBe(400);
    expect(answer.body).toStrictEqual({
      error: 'missing_field',
      field: 'roomid',
      details: expect.any(String),
    });
  },
);

test.each([
  ['of 257 bytes', `?roomid=${'a'.repeat(257)}`],
  ['of 258 bytes in 86 characters', `?roomid=${encodeURIComponent('€'.repeat(86))}`],
  ['given twice', '?roomid=a&roomid=b'],
])('a roomid %s is 400 invalid_roomid', async (_name, query) => {
  const answer = await get(query);
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({
    error: 'invalid_roomid',
    field: 'roomid',
    details: expect.any(String),
  });
});

test('only the whole id matches', async () => {
  const { roomid } = await pairDevices(url);
  for (const other of [
    roomid.slice(0, 32),
    roomid.toUpperCase(),
    `${roomid}%00`,
    `${roomid}%20`,
    `${roomid.slice(0, 47)}%25`,
  ]) {
    if (other === roomid) continue;
    expect((await get(`?roomid=${other}`)).status).toBe(404);
  }
});

test('bytes that are not UTF-8 are 404, never 500', async () => {
  expect((await get('?roomid=%ff%fe')).status).toBe(404);
  expect((await get('?roomid=%')).status).toBe(404);
});

test('further query members are ignored', async () => {
  const { roomid } = await pairDevices(url);
  expect((await get(`?platform=ios&roomid=${roomid}&__proto__=x`)).status).toBe(200);
});

test('HEAD answers like GET, without a body', async () => {
  const { roomid } = await pairDevices(url);
  expect((await call(url, 'HEAD', `/api/rooms?roomid=${roomid}`)).status).toBe(200);
  expect((await call(url, 'HEAD', `/api/rooms?roomid=${someRoom()}`)).status).toBe(404);
});
