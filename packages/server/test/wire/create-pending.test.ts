// POST /api/rooms: docs/protocol.md §3.

import { call, createPending, someCode, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { ILLEGAL_CODES, ILLEGAL_IDS, LEGAL_IDS, MISSING } from '../support/ids.js';

const { url } = await serverUnderTest();
const create = (body: unknown) => call(url, 'POST', '/api/rooms', body);
const pending = (changes: object = {}) => ({
  joinid: someCode(),
  expiresInSeconds: 300,
  client1: someDevice(),
  ...changes,
});

test('a new code is answered with 201, ok and the exact expiry', async () => {
  const before = Date.now();
  const answer = await create(pending({ expiresInSeconds: 300 }));
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
  expect((await create(pending({ joinid, client1 }))).status).toBe(201);
  const check = (code: unknown) => call(url, 'POST', '/api/rooms/check', { joinid: code, client1 });
  expect((await check(joinid)).status).toBe(204);
  expect((await check(String(Number(joinid)))).body?.error).toBe('invalid_joinid');
  await call(url, 'POST', '/api/user/purge', { deviceId: client1 });
});

test.each([1, 60, 86_400])('expiresInSeconds %d is within the limits', async (expiresInSeconds) => {
  expect((await create(pending({ expiresInSeconds }))).status).toBe(201);
});

/** A create with a number in a form that JSON.stringify does not write. */
const withExpiry = (spelling: string): string =>
  JSON.stringify(pending({ expiresInSeconds: 77 })).replace(
    '"expiresInSeconds":77',
    `"expiresInSeconds":${spelling}`,
  );

test('a whole number in exponent form is a whole JSON number', async () => {
  for (const spelling of ['1e2', '60.0']) {
    expect((await create(withExpiry(spelling))).status).toBe(201);
  }
});

test.each([
  ['0', 0],
  ['-1', -1],
  ['86401', 86_401],
  ['1.5', 1.5],
  ['1e300', 1e300],
  ['the string 60', '60'],
  ['true', true],
  ['false', false],
  ['an array', [60]],
  ['an object', {}],
])('expiresInSeconds as %s is refused', async (_name, expiresInSeconds) => {
  const answer = await create(pending({ expiresInSeconds }));
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({
    error: 'invalid_expiresInSeconds',
    field: 'expiresInSeconds',
    details: 'must be 1-86400 seconds (1 sec to 24 hours)',
  });
});

test('a number too large for a double is refused like any other', async () => {
  const text = withExpiry('1e999');
  expect((await create(text)).body?.error).toBe('invalid_expiresInSeconds');
});

test.each(ILLEGAL_CODES)('a joinid of %s is refused', async (_name, joinid) => {
  const answer = await create(pending({ joinid }));
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({
    error: 'invalid_joinid',
    field: 'joinid',
    details: expect.stringContaining('exactly 6 ASCII digits'),
  });
});

test.each(ILLEGAL_IDS)('a client1 of %s is refused', async (_name, client1) => {
  const answer = await create(pending({ client1 }));
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({
    error: 'invalid_client1',
    field: 'client1',
    details: expect.any(String),
  });
});

test.each(LEGAL_IDS)('a client1 of %s is stored byte for byte', async (_name, client1) => {
  const { joinid } = await createPending(url, { client1 });
  const client2 = someDevice();
  const accepted = await call(url, 'POST', '/api/rooms/accept', { joinid, client2 });
  const room = await call(url, 'GET', `/api/rooms?roomid=${accepted.body?.roomid}`);
  expect(room.body).toStrictEqual({ roomid: accepted.body?.roomid, client1, client2 });
});

test.each(
  ['joinid', 'expiresInSeconds', 'client1'].flatMap((field) =>
    MISSING.map(([name, value]) => [field, name, value] as const),
  ),
)('a %s that is %s is missing', async (field, _name, value) => {
  const answer = await create(pending({ [field]: value }));
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({
    error: 'missing_field',
    field,
    details: expect.any(String),
  });
});

test('missing fields are reported in documented order, before any other check', async () => {
  expect((await create({})).body?.field).toBe('joinid');
  expect((await create({ joinid: someCode() })).body?.field).toBe('expiresInSeconds');
  expect((await create({ joinid: 'bad', expiresInSeconds: 'bad' })).body).toMatchObject({
    error: 'missing_field',
    field: 'client1',
  });
});

test('invalid fields are reported in documented order', async () => {
  const all = { joinid: 'bad', expiresInSeconds: 0, client1: 5 };
  expect((await create(all)).body?.error).toBe('invalid_joinid');
  expect((await create({ ...all, joinid: someCode() })).body?.error).toBe(
    'invalid_expiresInSeconds',
  );
  expect((await create({ ...all, joinid: someCode(), expiresInSeconds: 1 })).body?.error).toBe(
    'invalid_client1',
  );
});

test('unknown fields are ignored, regardless of their values', async () => {
  const extras = { client1_token: 'x', client2_token: null, platform: 5, client2: {}, exp: [] };
  expect((await create(pending(extras))).status).toBe(201);
  const proto = JSON.stringify(pending()).replace('{', '{"__proto__":{"joinid":"000000"},');
  expect((await create(proto)).status).toBe(201);
});

test('a code that waits for another device is a conflict, and stays with that device', async () => {
  const { joinid, client1 } = await createPending(url);
  const answer = await create(pending({ joinid }));
  expect(answer.status).toBe(409);
  expect(answer.body).toStrictEqual({ error: 'conflict' });
  const check = { joinid, client1 };
  expect((await call(url, 'POST', '/api/rooms/check', check)).status).toBe(204);
});

test('the same device renews its waiting code', async () => {
  const first = await createPending(url, { expiresInSeconds: 60 });
  const second = await createPending(url, { ...first, expiresInSeconds: 600 });
  expect(Date.parse(second.exp) - Date.parse(first.exp)).toBeGreaterThanOrEqual(540_000);
  const shorter = await createPending(url, { ...first, expiresInSeconds: 30 });
  expect(Date.parse(shorter.exp)).toBeLessThan(Date.parse(first.exp));
});

test('a different spelling of the device id is another device', async () => {
  const { joinid, client1 } = await createPending(url);
  expect((await create(pending({ joinid, client1: client1.toLowerCase() }))).status).toBe(409);
  expect((await create(pending({ joinid, client1: `${client1} ` }))).status).toBe(409);
});

test('an accepted code is a conflict until it is collected, also for its own device', async () => {
  const { joinid, client1 } = await createPending(url);
  await call(url, 'POST', '/api/rooms/accept', { joinid, client2: someDevice() });
  expect((await create(pending({ joinid, client1 }))).status).toBe(409);
  expect((await create(pending({ joinid }))).status).toBe(409);
  const collected = await call(url, 'POST', '/api/rooms/check', { joinid, client1 });
  expect(collected.status).toBe(200);
  expect((await create(pending({ joinid }))).status).toBe(201);
});

test('of ten devices that create one code at once, one succeeds', async () => {
  const joinid = someCode();
  const answers = await Promise.all(Array.from({ length: 10 }, () => create(pending({ joinid }))));
  const statuses = answers.map((answer) => answer.status).sort();
  expect(statuses).toEqual([201, ...Array.from({ length: 9 }, () => 409)]);
});
