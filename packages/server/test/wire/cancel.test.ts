// POST /api/rooms/cancel: docs/protocol.md §3.

import { createPending, roomsApi, someCode, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { url } = await serverUnderTest();
const api = roomsApi(url);
const { cancel } = api;
const check = (body: unknown, headers = {}) => api.check(body, headers);
const accept = (joinid: string) => api.accept({ joinid, client2: someDevice() });

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

test('a held check is answered 404 at once', async () => {
  const { joinid, client1 } = await createPending(url);
  const held = check({ joinid, client1 }, { prefer: 'wait=30' });
  await cancel({ joinid, client1 });
  expect((await held).body).toStrictEqual({ error: 'not_found_or_expired' });
});
