// POST /api/rooms/accept: docs/protocol.md §3.

import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { ILLEGAL_CODES, ILLEGAL_IDS, LEGAL_IDS, MISSING } from '../support/ids.js';

const { url } = await serverUnderTest();
const accept = (body: unknown) => call(url, 'POST', '/api/rooms/accept', body);

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

test('the room exists as soon as the accept is answered', async () => {
  const { joinid, client1 } = await createPending(url);
  const client2 = someDevice();
  const roomid = (await accept({ joinid, client2 })).body?.roomid;
  const room = await call(url, 'GET', `/api/rooms?roomid=${roomid}`);
  expect(room.body).toStrictEqual({ roomid, client1, client2 });
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
  const room = await call(url, 'GET', `/api/rooms?roomid=${roomid}`);
  expect(room.body?.client2).toBe(client2);
});

test('a collected code is gone: 404', async () => {
  const { joinid, client1 } = await createPending(url);
  await accept({ joinid, client2: someDevice() });
  await call(url, 'POST', '/api/rooms/check', { joinid, client1 });
  expect((await accept({ joinid, client2: someDevice() })).status).toBe(404);
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

test('of fifty devices that accept one code at once, one succeeds and 49 conflict', async () => {
  const { joinid, client1 } = await createPending(url);
  const devices = Array.from({ length: 50 }, someDevice);
  const answers = await Promise.all(devices.map((client2) => accept({ joinid, client2 })));
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array(49).fill(409)]);
  const winner = answers.findIndex((answer) => answer.status === 200);
  const roomid = answers[winner]?.body?.roomid;
  const checked = await call(url, 'POST', '/api/rooms/check', { joinid, client1 });
  expect(checked.body).toStrictEqual({ roomid });
  const room = await call(url, 'GET', `/api/rooms?roomid=${roomid}`);
  expect(room.body).toStrictEqual({ roomid, client1, client2: devices[winner] });
});

test.each(LEGAL_IDS)('a client2 of %s is kept byte for byte', async (_name, client2) => {
  const { joinid, client1 } = await createPending(url);
  const roomid = (await accept({ joinid, client2 })).body?.roomid;
  const room = await call(url, 'GET', `/api/rooms?roomid=${roomid}`);
  expect(room.body).toStrictEqual({ roomid, client1, client2 });
});

test.each(ILLEGAL_IDS)('a client2 of %s is refused', async (_name, client2) => {
  const answer = await accept({ joinid: someCode(), client2 });
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({
    error: 'invalid_client2',
    field: 'client2',
    details: expect.any(String),
  });
});

test.each(ILLEGAL_CODES)('a joinid of %s is refused', async (_name, joinid) => {
  const answer = await accept({ joinid, client2: someDevice() });
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({ error: 'invalid_joinid', field: 'joinid' });
});

test.each(
  ['joinid', 'client2'].flatMap((field) =>
    MISSING.map(([name, value]) => [field, name, value] as const),
  ),
)('a %s that is %s is missing', async (field, _name, value) => {
  const answer = await accept({ joinid: someCode(), client2: someDevice(), [field]: value });
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({ error: 'missing_field', field });
});

test('fields are checked in documented order, missing fields first', async () => {
  expect((await accept({})).body).toMatchObject({ error: 'missing_field', field: 'joinid' });
  expect((await accept({ joinid: 'bad' })).body).toMatchObject({
    error: 'missing_field',
    field: 'client2',
  });
  expect((await accept({ joinid: 'bad', client2: 5 })).body?.error).toBe('invalid_joinid');
});

test('unknown fields are ignored', async () => {
  const { joinid } = await createPending(url);
  const extras = { client2_token: 'x', platform: 'ios', roomid: 'mine', client1: 5 };
  const answer = await accept({ joinid, client2: someDevice(), ...extras });
  expect(answer.status).toBe(200);
  expect(answer.body?.roomid).not.toBe('mine');
});
