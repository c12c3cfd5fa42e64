// POST /api/rooms/check without Prefer: docs/protocol.md §3.

import { createPending, roomsApi, someCode, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { url } = await serverUnderTest();
const api = roomsApi(url);
const { check } = api;
const accept = (joinid: string, client2 = someDevice()) => api.accept({ joinid, client2 });

test('every check of a waiting code is 204 without a body', async () => {
  const { joinid, client1 } = await createPending(url);
  for (let n = 0; n < 3; n++) {
    const answer = await check({ joinid, client1 });
    expect(answer.status).toBe(204);
    expect(answer.body).toBeUndefined();
    expect(answer.headers.get('content-type')).toBeNull();
    expect(answer.headers.get('preference-applied')).toBeNull();
  }
});

test('a check of an accepted code returns the room id once, and the code is then gone', async () => {
  const { joinid, client1 } = await createPending(url);
  const roomid = (await accept(joinid)).body?.roomid;
  const answer = await check({ joinid, client1 });
  expect(answer.status).toBe(200);
  expect(answer.body).toStrictEqual({ roomid });
  const again = await check({ joinid, client1 });
  expect(again.status).toBe(404);
  expect(again.body).toStrictEqual({ error: 'not_found_or_expired' });
  expect((await api.room(roomid)).status).toBe(200);
});

test('an unknown code is 404 not_found_or_expired', async () => {
  const answer = await check({ joinid: someCode(), client1: someDevice() });
  expect(answer.status).toBe(404);
  expect(answer.body).toStrictEqual({ error: 'not_found_or_expired' });
});

test('another device’s code is 404, waiting or accepted, and is not consumed', async () => {
  const { joinid, client1 } = await createPending(url);
  const client2 = someDevice();
  expect((await check({ joinid, client1: someDevice() })).status).toBe(404);
  const roomid = (await accept(joinid, client2)).body?.roomid;
  expect((await check({ joinid, client1: client2 })).status).toBe(404);
  expect((await check({ joinid, client1: client1.toLowerCase() })).status).toBe(404);
  expect((await check({ joinid, client1 })).body).toStrictEqual({ roomid });
});
