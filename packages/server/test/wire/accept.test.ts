// POST /api/rooms/accept: docs/protocol.md §3.

import { createPending, pairDevices, roomsApi, someCode, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { url } = await serverUnderTest();
const api = roomsApi(url);
const { accept } = api;

test('an accept is answered with the room id: 48 lowercase hex characters', async () => {
  const { joinid } = await createPending(url);
  const answer = await accept({ joinid, client2: someDevice() });
  expect(answer.status).toBe(200);
  expect(answer.body).toStrictEqual({
    roomid: expect.stringMatching(/^[0-9a-f]{48}$/),
    secret: expect.stringMatching(/^[\w-]{43}$/),
  });
});

test('every pairing gets a new room id, even of the same two devices', async () => {
  const client1 = someDevice();
  const client2 = someDevice();
  const ids = new Set<string>();
  for (let n = 0; n < 10; n++) ids.add((await pairDevices(url, client1, client2)).roomid);
  expect(ids.size).toBe(10);
  // The iOS client builds its id from the first 32 characters alone.
  expect(new Set([...ids].map((id) => id.slice(0, 32))).size).toBe(10);
});

test('an unknown code is 404 not_found_or_expired', async () => {
  const answer = await accept({ joinid: someCode(), client2: someDevice() });
  expect(answer.status).toBe(404);
  expect(answer.body).toStrictEqual({ error: 'not_found_or_expired' });
});

test('an accepted code is a conflict for every device, and keeps its first client2', async () => {
  const { joinid } = await createPending(url);
  const client2 = someDevice();
  const roomid = (await accept({ joinid, client2 })).body?.roomid;
  for (const other of [client2, someDevice()]) {
    const answer = await accept({ joinid, client2: other });
    expect(answer.status).toBe(409);
    expect(answer.body).toStrictEqual({ error: 'conflict' });
  }
  const room = await api.room(roomid);
  expect(room.body?.client2).toBe(client2);
});

test('a device cannot accept its own code, which stays waiting', async () => {
  const { joinid, client1 } = await createPending(url);
  const answer = await accept({ joinid, client2: client1 });
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({
    error: 'invalid_client2',
    field: 'client2',
    details: expect.any(String),
  });
  expect((await accept({ joinid, client2: someDevice() })).status).toBe(200);
});
