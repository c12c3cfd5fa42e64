// The fields of each request: which are missing, which are invalid, and in which order. docs/protocol.md §2 and §3.
import {
  call,
  createPending,
  newPending,
  pairDevices,
  roomsApi,
  someCode,
  someDevice,
} from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { describe, expect, test } from 'vitest';
import { ILLEGAL_CODES, ILLEGAL_IDS, LEGAL_IDS, MISSING } from '../support/ids.js';

const { url } = await serverUnderTest();
const api = roomsApi(url);

const ILLEGAL_EXPIRIES = '0 -1 86401 1.5 1e300 "60" true false [60] {}'
  .split(' ')
  .map((text) => [text, JSON.parse(text)] as const);

const CODE = {
  valid: someCode,
  illegal: ILLEGAL_CODES,
  details: expect.stringContaining('exactly 6 ASCII digits'),
};
const ID = { valid: someDevice, illegal: ILLEGAL_IDS, details: expect.any(String) };
const SECONDS = {
  valid: () => 60,
  illegal: ILLEGAL_EXPIRIES,
  details: 'must be 1-86400 seconds (1 sec to 24 hours)',
};

/** The fields of each request, in the order in which they are checked. */
describe.each([
  ['POST', '/api/rooms', { joinid: CODE, expiresInSeconds: SECONDS, client1: ID }],
  ['POST', '/api/rooms/accept', { joinid: CODE, client2: ID }],
  ['POST', '/api/rooms/check', { joinid: CODE, client1: ID }],
  ['POST', '/api/rooms/cancel', { joinid: CODE, client1: ID }],
  ['POST', '/api/ice-servers', { roomid: ID, client: ID }],
  ['POST', '/api/push-token', { roomid: ID, client: ID }],
  ['POST', '/api/badge/reset', { deviceId: ID }],
  ['DELETE', '/api/rooms', { roomid: ID }],
])('%s %s', (method, path, fields) => {
  const entries = Object.entries(fields);
  const send = (changes: Record<string, unknown>) => {
    const valid = Object.fromEntries(entries.map(([field, { valid }]) => [field, valid()]));
    return call(url, method, path, { ...valid, ...changes });
  };

  test.each(
    entries.flatMap(([field]) => MISSING.map(([name, value]) => [field, name, value] as const)),
  )('%s is %s: missing', async (field, _name, value) => {
    expect(await send({ [field]: value })).toMatchObject({
      status: 400,
      body: { error: 'missing_field', field, details: expect.any(String) },
    });
  });

  test.each(
    entries.flatMap(([field, { illegal, details }]) =>
      illegal.map(([name, value]) => [field, name, value, details] as const),
    ),
  )('%s is %s: invalid', async (field, _name, value, details) => {
    const answer = await send({ [field]: value });
    expect(answer.status).toBe(400);
    expect(answer.body).toStrictEqual({ error: `invalid_${field}`, field, details });
  });

  test('missing fields are reported first, and all fields in documented order', async () => {
    const invalid = Object.fromEntries(
      entries.map(([field, { illegal }]) => [field, illegal[0]?.[1]]),
    );
    const absent = Object.fromEntries(entries.map(([field]) => [field, undefined]));
    for (const [n, [field, { valid }]] of entries.entries()) {
      const { body } = await send({
        ...absent,
        ...Object.fromEntries(Object.entries(invalid).slice(0, n)),
      });
      expect(body).toMatchObject({ error: 'missing_field', field });
      expect((await send(invalid)).body).toMatchObject({ error: `invalid_${field}`, field });
      invalid[field] = valid();
    }
  });
});

test('unknown fields are ignored, regardless of their values', async () => {
  const extras = { token: 5, client_token: 'x', exp: [], roomid: 'mine' };
  const pending = newPending();
  expect((await api.create({ ...pending, ...extras, client2: {} })).status).toBe(201);
  const { joinid, client1 } = pending;
  const accepted = await api.accept({ joinid, client2: someDevice(), ...extras, client1: 5 });
  expect(accepted.body?.roomid).toMatch(/^[0-9a-f]{48}$/);
  expect((await api.check({ joinid, client1, ...extras })).status).toBe(200);
  const proto = JSON.stringify(newPending()).replace('{', '{"__proto__":{"joinid":"000000"},');
  expect((await api.create(proto)).status).toBe(201);
});

test.each(LEGAL_IDS)(
  'an id of %s is kept byte for byte, and matches only itself',
  async (_name, id) => {
    const near = [
      id.toLowerCase(),
      `${id}x`,
      ` ${id}`,
      `${id} `,
      [...id].slice(0, -1).join(''),
      `${id}\u0000`,
    ].filter((other) => other !== '' && other !== id && Buffer.byteLength(other) <= 256);
    const { joinid } = await createPending(url, { client1: id });
    for (const client1 of near) await api.cancel({ joinid, client1 });
    expect((await api.check({ joinid, client1: id })).status).toBe(204);
    const { roomid } = (await api.accept({ joinid, client2: 'another' })).body ?? {};
    expect((await api.room(roomid)).body).toStrictEqual({
      roomid,
      client1: id,
      client2: 'another',
    });
    for (const client1 of near) expect((await api.check({ joinid, client1 })).status).toBe(404);
    const second = await pairDevices(url, undefined, id);
    expect((await api.room(second.roomid)).body).toEqual(second);
    expect((await api.purge({ deviceIds: near })).body).toMatchObject({ roomsDeleted: 0 });
    const deleted = { roomsDeleted: 2, pendingsDeleted: 1 };
    expect((await api.purge({ deviceIds: [id] })).body).toMatchObject(deleted);

    const cancelled = await createPending(url, { client1: id });
    await api.cancel({ joinid: cancelled.joinid, client1: id });
    expect((await api.check({ joinid: cancelled.joinid, client1: id })).status).toBe(404);
    expect((await api.room(encodeURIComponent(id))).status).toBe(404);
    expect((await api.deleteRoom({ roomid: id })).status).toBe(200);
  },
);
