// POST /api/rooms: docs/protocol.md §3.

import { createPending, newPending, roomsApi, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { url } = await serverUnderTest();
const api = roomsApi(url);
const { create } = api;

test('a new code is answered with 201, ok and the exact expiry', async () => {
  const before = Date.now();
  const answer = await create(newPending({ expiresInSeconds: 300 }));
  const after = Date.now();
  expect(answer.status).toBe(201);
  expect(answer.headers.get('content-type')).toMatch(/^application\/json/);
  expect(answer.body).toStrictEqual({
    ok: true,
    exp: expect.any(String),
    secret: expect.stringMatching(/^[\w-]{43}$/),
  });
  const exp = answer.body?.exp as string;
  expect(exp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  expect(Date.parse(exp)).toBeGreaterThanOrEqual(before + 300_000);
  expect(Date.parse(exp)).toBeLessThanOrEqual(after + 300_000);
});

test.each(['000000', '000001', '012345'])('the leading zeros of %s are kept', async (joinid) => {
  const client1 = someDevice();
  expect((await create(newPending({ joinid, client1 }))).status).toBe(201);
  const check = (code: unknown) => api.check({ joinid: code, client1 });
  expect((await check(joinid)).status).toBe(204);
  expect((await check(String(Number(joinid)))).body?.error).toBe('invalid_joinid');
  await api.purge({ deviceId: client1 });
});

test.each([1, 60, 86_400])('expiresInSeconds %d is within the limits', async (expiresInSeconds) => {
  expect((await create(newPending({ expiresInSeconds }))).status).toBe(201);
});

/** A create with a number in a form that JSON.stringify does not write. */
const withExpiry = (spelling: string): string =>
  JSON.stringify(newPending({ expiresInSeconds: 77 })).replace(
    '"expiresInSeconds":77',
    `"expiresInSeconds":${spelling}`,
  );

test('a whole number in exponent form is a whole JSON number', async () => {
  for (const spelling of ['1e2', '60.0']) {
    expect((await create(withExpiry(spelling))).status).toBe(201);
  }
});

test('a number too large for a double is refused like any other', async () => {
  const text = withExpiry('1e999');
  expect((await create(text)).body?.error).toBe('invalid_expiresInSeconds');
});

test('a code that waits for another device is a conflict, and stays with that device', async () => {
  const { joinid, client1 } = await createPending(url);
  const answer = await create(newPending({ joinid }));
  expect(answer.status).toBe(409);
  expect(answer.body).toStrictEqual({ error: 'conflict' });
  const check = { joinid, client1 };
  expect((await api.check(check)).status).toBe(204);
});
