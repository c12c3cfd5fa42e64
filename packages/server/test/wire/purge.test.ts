// POST /api/user/purge: docs/protocol.md §3.

import { pairDevices, roomsApi, someDevice } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { ILLEGAL_IDS, MISSING } from '../support/ids.js';

const { url } = await serverUnderTest();
const api = roomsApi(url);
const { purge } = api;
const counts = (deviceIdCount: number, roomsDeleted: number, pendingsDeleted: number) => ({
  success: true,
  deviceIdCount,
  roomsDeleted,
  pendingsDeleted,
});

test('a repeated id counts twice as an id, and its rows once; a second purge deletes nothing', async () => {
  const { client1 } = await pairDevices(url);
  expect((await purge({ deviceIds: [client1, client1] })).body).toStrictEqual(counts(2, 1, 0));
  expect((await purge({ deviceIds: [client1] })).body).toStrictEqual(counts(1, 0, 0));
});

test('the single deviceId of older clients works', async () => {
  const { client2 } = await pairDevices(url);
  const answer = await purge({ deviceId: client2 });
  expect(answer.status).toBe(200);
  expect(answer.body).toStrictEqual(counts(1, 1, 0));
});

test('the array takes precedence over deviceId', async () => {
  const named = await pairDevices(url);
  const single = await pairDevices(url);
  const answer = await purge({ deviceIds: [named.client1], deviceId: single.client1 });
  expect(answer.body).toStrictEqual(counts(1, 1, 0));
  expect((await api.room(single.roomid)).status).toBe(200);
  const empty = await purge({ deviceIds: [], deviceId: single.client1 });
  expect([empty.status, empty.body]).toEqual([400, { error: 'empty_deviceIds_array' }]);
});

test.each(MISSING)('deviceId is used if deviceIds is %s', async (_name, deviceIds) => {
  const { client1 } = await pairDevices(url);
  expect((await purge({ deviceIds, deviceId: client1 })).body).toStrictEqual(counts(1, 1, 0));
});

test.each([
  ['no body', undefined],
  ['null', 'null'],
  ['an empty object', {}],
  ['both null', { deviceIds: null, deviceId: null }],
  ['both empty strings', { deviceIds: '', deviceId: '' }],
  ['fields of other names', { ids: ['x'], device: 'x' }],
])('%s is 400 missing_deviceIds_or_deviceId', async (_name, body) => {
  const answer = await purge(body);
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({ error: 'missing_deviceIds_or_deviceId' });
});

test('invalid ids are counted, and nothing is deleted', async () => {
  const { roomid, client1 } = await pairDevices(url);
  const illegal = ILLEGAL_IDS.map(([, id]) => id);
  const answer = await purge({ deviceIds: [...illegal, client1, '', null] });
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({ error: 'invalid_device_ids', count: illegal.length + 2 });
  expect((await api.room(roomid)).status).toBe(200);
});

test.each(ILLEGAL_IDS)('a deviceId of %s is 400 invalid_device_ids', async (_name, deviceId) => {
  const answer = await purge({ deviceId });
  expect(answer.status).toBe(400);
  expect(answer.body).toStrictEqual({ error: 'invalid_device_ids', count: 1 });
});

test.each([
  ['a string', 'device'],
  ['a number', 5],
  ['an object', { 0: 'device', length: 1 }],
  ['true', true],
])('deviceIds as %s is 400 invalid_device_ids', async (_name, deviceIds) => {
  const answer = await purge({ deviceIds, deviceId: 'device' });
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({ error: 'invalid_device_ids', count: 1 });
});

test('1000 ids are the maximum', async () => {
  const { client1 } = await pairDevices(url);
  const ids = [...Array.from({ length: 999 }, someDevice), client1];
  expect((await purge({ deviceIds: ids })).body).toStrictEqual(counts(1000, 1, 0));
  const answer = await purge({ deviceIds: [...ids, someDevice()] });
  expect(answer.status).toBe(400);
  expect(answer.body).toMatchObject({ error: 'invalid_device_ids', count: 1001 });
});

test.each([
  ['every character escaped in ASCII', '\\u00e9'.repeat(128)],
  ['every character escaped with a backslash', '\\"'.repeat(256)],
])('1000 ids of the maximum length, %s and indented, fit', async (_name, id) => {
  const answer = await purge(
    `{"deviceIds": [\n    ${Array(1000).fill(`"${id}"`).join(',\n    ')}\n]}`,
  );
  expect(answer.body).toMatchObject({ success: true, deviceIdCount: 1000 });
});

test('a body larger than 1000 ids need is 413, and not parsed', async () => {
  const ids = Array(1000).fill('x'.repeat(900));
  expect(await purge({ deviceIds: ids })).toMatchObject({
    status: 413,
    body: { error: 'payload_too_large' },
  });
});

test('of two concurrent purges, only one counts each row', async () => {
  const client1 = someDevice();
  for (let n = 0; n < 5; n++) await pairDevices(url, client1);
  const answers = await Promise.all(Array.from({ length: 4 }, () => purge({ deviceId: client1 })));
  expect(answers.reduce((sum, { body }) => sum + (body?.roomsDeleted as number), 0)).toBe(5);
});
