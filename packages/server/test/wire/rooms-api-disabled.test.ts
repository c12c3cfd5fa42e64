// The rooms API without USE_SQLITE: docs/protocol.md §3.

import { call } from '@couplet/testkit/api';
import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, test } from 'vitest';
import { rawRequest } from '../support/raw-http.js';

const server = await startServer({ USE_SQLITE: '' });
afterAll(() => server.close());
const { url } = server;

test.each([
  ['POST', '/api/rooms', { joinid: '123456', expiresInSeconds: 60, client1: 'a' }],
  ['POST', '/api/rooms', {}],
  ['POST', '/api/rooms', '{broken'],
  ['GET', '/api/rooms', undefined],
  ['GET', '/api/rooms?roomid=x', undefined],
  ['DELETE', '/api/rooms', { roomid: 'x' }],
  ['DELETE', '/api/rooms?roomid=x', undefined],
  ['PUT', '/api/rooms', undefined],
  ['POST', '/api/rooms/accept', { joinid: '123456', client2: 'b' }],
  ['POST', '/api/rooms/check', { joinid: '123456', client1: 'a' }],
  ['POST', '/api/rooms/cancel', { joinid: '123456', client1: 'a' }],
  ['GET', '/api/rooms/check', undefined],
  ['GET', '/api/rooms/anything/else', undefined],
  ['POST', '/api/user/purge', { deviceId: 'a' }],
  ['POST', '/api/user/purge', undefined],
  ['POST', '/api/ice-servers', '{broken'],
  ['GET', '/api/ice-servers', undefined],
  ['POST', '/api/push-token', { roomid: 'x', client: 'y' }],
  ['POST', '/api/badge/reset', { deviceId: 'a' }],
])('%s %s is 404 rooms_api_disabled', async (method, path, body) => {
  const answer = await call(url, method, path, body);
  expect(answer.status).toBe(404);
  expect(answer.body).toStrictEqual({ error: 'rooms_api_disabled' });
});

test('a body of another type, or one that is too large, gets the same answer', async () => {
  const headers = { 'content-type': 'text/plain' };
  const typed = await call(url, 'POST', '/api/rooms', 'x', headers);
  expect(typed.body).toStrictEqual({ error: 'rooms_api_disabled' });
  const large = await rawRequest(
    url,
    'POST /api/rooms HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: 99999999\r\n\r\n',
  );
  expect(large.status).toBe(404);
  expect(JSON.parse(large.body)).toStrictEqual({ error: 'rooms_api_disabled' });
});

test('everything else is served', async () => {
  expect((await fetch(url)).status).toBe(200);
  expect((await call(url, 'GET', '/rooms')).body).toStrictEqual({ rooms: [], totalRooms: 0 });
  expect((await call(url, 'GET', '/nowhere')).body).toStrictEqual({ error: 'not_found' });
  expect((await fetch(`${url}/api/rooms`, { method: 'OPTIONS' })).status).toBe(204);
});
