// POST /api/rooms/check without Prefer: docs/protocol.md §3.

import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { ILLEGAL_CODES, ILLEGAL_IDS, LEGAL_IDS, MISSING } from '../support/ids.js';

const { url } = await serverUnderTest();
const check = (body: unknown) => call(url, 'POST', '/api/rooms/check', body);
const accept = (joinid: string, client2 = someDevice()) =>
  call(url, 'POST', '/api/rooms/accept', { joinid, client2 });

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
  expect((await call(url, 'GET', `/api/rooms?roomid=${roomid}`)).status).toBe(200);
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

test('the answer is the room of this pending, not of an older pairing of the same devices', async () => {
  const older = await pairDevices(url);
  const { joinid, client1 } = await createPending(url, { client1: older.client1 });
  const roomid = (await accept(joinid, older.client2)).body?.roomid;
  await pairDevices(url, older.client1, older.client2);
  expect((await check({ joinid, client1 })).body).toStrictEqual({ roomid });
  expect(roomid).not.toBe(older.roomid);
});

test('of twenty concurrent checks, one collects and nineteen are 404', async () => {
  const { joinid, client1 } = await createPending(url);
  const roomid = (await accept(joinid)).body?.roomid;
  const answers = await Promise.all(Array.from({ length: 20 }, () => check({ joinid, client1 })));
  expect(answers.map((answer) => answer.status).sort()).toEqual([200, ...Array(19).fill(404)]);
  expect(answers.find((answer) => answer.status === 200)?.body).toStrictEqual({ roomid });
});

test.each(LEGAL_IDS)('a device id of %s finds its own code', async (_name, client1) => {
  const { joinid } = await createPending(url, { client1 });
  expect((await check({ joinid, client1 })).status).toBe(204);
});

test('a device id with a NUL is not the id before the NUL', async () => {
  const client1 = `${someDevice()}\u0000a`;
  const { joinid } = await createPending(url, { client1 });
  expect((await check({ joinid, client1: client1.split('\u0000')[0] })).status).toBe(404);
  expect((await check({ joinid, client1: client1.replace('a', 'b') })).status).toBe(404);
});

test.each(ILLEGAL_IDS)('a client1 of %s is refused', async (_name, client1) => {
  const answer = await check({ joinid: someCode(), client1 });
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({ error: 'invalid_client1', field: 'client1' });
});

test.each(ILLEGAL_CODES)('a joinid of %s is refused', async (_name, joinid) => {
  const answer = await check({ joinid, client1: someDevice() });
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({ error: 'invalid_joinid', field: 'joinid' });
});

test.each(
  ['joinid', 'client1'].flatMap((field) =>
    MISSING.map(([name, value]) => [field, name, value] as const),
  ),
)('a %s that is %s is missing', async (field, _name, value) => {
  const answer = await check({ joinid: someCode(), client1: someDevice(), [field]: value });
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({ error: 'missing_field', field });
});

test('fields are checked in documented order, missing fields first', async () => {
  expect((await check({})).body).toMatchObject({ error: 'missing_field', field: 'joinid' });
  expect((await check({ joinid: 'bad' })).body?.field).toBe('client1');
  expect((await check({ joinid: 'bad', client1: 5 })).body?.error).toBe('invalid_joinid');
});
