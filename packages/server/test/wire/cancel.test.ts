// POST /api/rooms/cancel: docs/protocol.md §3.

import { call, createPending, pairDevices, someCode, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { ILLEGAL_CODES, ILLEGAL_IDS, LEGAL_IDS, MISSING } from '../support/ids.js';

const { url } = await serverUnderTest();
const cancel = (body: unknown) => call(url, 'POST', '/api/rooms/cancel', body);
const check = (body: unknown, headers = {}) => call(url, 'POST', '/api/rooms/check', body, headers);
const accept = (joinid: string) =>
  call(url, 'POST', '/api/rooms/accept', { joinid, client2: someDevice() });

test('a cancelled code cannot be accepted, and a second cancel succeeds', async () => {
  const { joinid, client1 } = await createPending(url);
  for (let n = 0; n < 2; n++) {
    const answer = await cancel({ joinid, client1 });
    expect(answer.status).toBe(200);
    expect(answer.body).toStrictEqual({ ok: true });
  }
  expect((await accept(joinid)).body).toStrictEqual({ error: 'not_found_or_expired' });
  expect((await check({ joinid, client1 })).status).toBe(404);
});

test('an unknown code, and the code of another device, get the same answer', async () => {
  const { joinid, client1 } = await createPending(url);
  for (const body of [
    { joinid: someCode(), client1 },
    { joinid, client1: someDevice() },
  ]) {
    const answer = await cancel(body);
    expect([answer.status, answer.body]).toEqual([200, { ok: true }]);
  }
  expect((await check({ joinid, client1 })).status).toBe(204);
  expect((await accept(joinid)).status).toBe(200);
});

test('an accepted code stays collectable, and its room stays', async () => {
  const { joinid, client1 } = await createPending(url);
  const { body } = await accept(joinid);
  expect((await cancel({ joinid, client1 })).status).toBe(200);
  expect((await check({ joinid, client1 })).body).toStrictEqual({ roomid: body?.roomid });
});

test('other codes and pairings of the device stay', async () => {
  const { client1, roomid } = await pairDevices(url);
  const [one, other] = [
    await createPending(url, { client1 }),
    await createPending(url, { client1 }),
  ];
  await cancel({ joinid: one.joinid, client1 });
  expect((await check({ joinid: other.joinid, client1 })).status).toBe(204);
  expect((await call(url, 'GET', `/api/rooms?roomid=${roomid}`)).status).toBe(200);
});

test('a held check is answered 404 at once', async () => {
  const { joinid, client1 } = await createPending(url);
  const held = check({ joinid, client1 }, { prefer: 'wait=30' });
  await cancel({ joinid, client1 });
  expect((await held).body).toStrictEqual({ error: 'not_found_or_expired' });
});

test.each(MISSING)('a field that is %s is 400 missing_field', async (_name, value) => {
  const joinid = await cancel({ joinid: value, client1: someDevice() });
  expect(joinid.body).toMatchObject({ error: 'missing_field', field: 'joinid' });
  const client1 = await cancel({ joinid: someCode(), client1: value });
  expect(client1.body).toMatchObject({ error: 'missing_field', field: 'client1' });
});

test.each(ILLEGAL_CODES)('a joinid of %s is 400 invalid_joinid', async (_name, joinid) => {
  const answer = await cancel({ joinid, client1: someDevice() });
  expect([answer.status, answer.body?.error]).toEqual([400, 'invalid_joinid']);
});

test.each(ILLEGAL_IDS)('a client1 of %s is 400 invalid_client1', async (_name, client1) => {
  const answer = await cancel({ joinid: someCode(), client1 });
  expect([answer.status, answer.body?.error]).toEqual([400, 'invalid_client1']);
});

test.each(LEGAL_IDS)('a client1 of %s may cancel', async (_name, client1) => {
  const { joinid } = await createPending(url, { client1 });
  expect((await cancel({ joinid, client1 })).status).toBe(200);
  expect((await accept(joinid)).status).toBe(404);
});
