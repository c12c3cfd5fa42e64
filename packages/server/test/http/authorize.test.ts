// The embedding application's rule on requests: asked for every way to write an address under /api.

import { startServer } from '@couplet/testkit/server';
import { afterAll, expect, test } from 'vitest';
import { rawRequest } from '../support/raw-http.js';

const server = await startServer({}, { authorize: { request: () => false } });
afterAll(() => server.close());

const post = (target: string) =>
  rawRequest(
    server.url,
    `POST ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}`,
  );

test.each([
  '/api/rooms',
  '/api/rooms?roomid=x',
  '/%61pi/rooms',
  '/%61%70%69/rooms/accept',
  'http://x/api/rooms',
  'http://x/%61pi/user/purge',
  '/api/nowhere',
])('POST %s is 401 where the rule says no', async (target) => {
  const answer = await post(target);
  expect([answer.status, answer.body]).toEqual([401, '{"error":"unauthorized"}']);
});

test.each(['//api/rooms', '/API/rooms', '/api%2Frooms'])(
  'POST %s is no route at all',
  async (target) => {
    expect((await post(target)).status).toBe(404);
  },
);

test('what is not under /api is served without asking, and so is a preflight', async () => {
  expect((await fetch(`${server.url}/healthz`)).status).toBe(200);
  expect((await fetch(`${server.url}/api/rooms`, { method: 'OPTIONS' })).status).toBe(204);
});

test('a rule that fails counts as no', async () => {
  const failing = await startServer(
    {},
    { authorize: { request: () => Promise.reject(new Error()) } },
  );
  afterAll(() => failing.close());
  expect((await fetch(`${failing.url}/api/rooms?roomid=x`)).status).toBe(401);
});
