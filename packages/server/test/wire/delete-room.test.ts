// DELETE /api/rooms: docs/protocol.md §3.
import { randomBytes } from 'node:crypto';
import { call, pairDevices, roomsApi } from '@couplet/testkit/api';
import { serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { MISSING } from '../support/ids.js';
import { rawRequest } from '../support/raw-http.js';

const { url } = await serverUnderTest();
const api = roomsApi(url);
const remove = (query: string, body?: unknown) => call(url, 'DELETE', `/api/rooms${query}`, body);
const exists = async (roomid: string) => (await api.room(roomid)).status === 200;

test('a room is deleted by the id in the body, and a repeat succeeds', async () => {
  const { roomid } = await pairDevices(url);
  const other = await pairDevices(url);
  for (let n = 0; n < 2; n++) {
    const answer = await remove('', { roomid });
    expect(answer.status).toBe(200);
    expect(answer.body).toStrictEqual({ ok: true });
    expect(await exists(roomid)).toBe(false);
  }
  expect(await exists(other.roomid)).toBe(true);
});

test('deleting a room that never existed succeeds', async () => {
  expect((await remove('', { roomid: randomBytes(24).toString('hex') })).status).toBe(200);
});

test('the id in the body takes precedence over the query', async () => {
  const inBody = await pairDevices(url);
  const inQuery = await pairDevices(url);
  await remove(`?roomid=${inQuery.roomid}`, { roomid: inBody.roomid });
  expect(await exists(inBody.roomid)).toBe(false);
  expect(await exists(inQuery.roomid)).toBe(true);
});

test.each(MISSING)('the query is used if roomid in the body is %s', async (_name, value) => {
  const { roomid } = await pairDevices(url);
  expect((await remove(`?roomid=${roomid}`, { roomid: value })).status).toBe(200);
  expect(await exists(roomid)).toBe(false);
});

test.each([
  ['of no length', 'content-length: 0\r\n'],
  ['that is not announced', ''],
])(
  'with a stripped body %s and its content type left, the query is used',
  async (_name, length) => {
    const { roomid } = await pairDevices(url);
    const answer = await rawRequest(
      url,
      `DELETE /api/rooms?roomid=${roomid} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n${length}\r\n`,
    );
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.body)).toStrictEqual({ ok: true });
    expect(await exists(roomid)).toBe(false);
  },
);

test('neither body nor query is 400 missing_field', async () => {
  expect((await remove('')).body).toMatchObject({ error: 'missing_field', field: 'roomid' });
  expect((await remove('?roomid=')).body).toMatchObject({ error: 'missing_field' });
});

test('a roomid given twice in the query is 400 invalid_roomid', async () => {
  expect((await remove('?roomid=a&roomid=b')).body?.error).toBe('invalid_roomid');
});
