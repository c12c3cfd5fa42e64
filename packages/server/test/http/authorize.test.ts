// The access rule of the embedding application: it applies to every spelling of a path under /api.

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
])('POST %s is answered 401 if the rule denies it', async (target) => {
  const answer = await post(target);
  expect([answer.status, answer.body]).toEqual([401, '{"error":"unauthorized"}']);
});

test.each(['//api/rooms', '/API/rooms', '/api%2Frooms'])(
  'POST %s matches no route',
  async (target) => {
    expect((await post(target)).status).toBe(404);
  },
);

test('a rule that throws denies the request', async () => {
  const failing = await startServer(
    {},
    { authorize: { request: () => Promise.reject(new Error()) } },
  );
  afterAll(() => failing.close());
  expect((await fetch(`${failing.url}/api/rooms?roomid=x`)).status).toBe(401);
});
