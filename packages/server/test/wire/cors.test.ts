// CORS: docs/protocol.md §3.

import { serverUnderTest, startServer } from '@couplet/testkit/server';
import { afterAll, describe, expect, test } from 'vitest';

const { url } = await serverUnderTest();
const ORIGIN = 'https://app.example';

const preflight = (base: string, path: string, method: string, headers: string, origin = ORIGIN) =>
  fetch(base + path, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': headers,
    },
  });
const listed = (response: Response, header: string) =>
  (response.headers.get(header) ?? '').toLowerCase().split(/\s*,\s*/);

test.each([
  ['POST', '/api/rooms'],
  ['POST', '/api/rooms/accept'],
  ['POST', '/api/rooms/check'],
  ['POST', '/api/rooms/cancel'],
  ['GET', '/api/rooms'],
  ['DELETE', '/api/rooms'],
  ['POST', '/api/user/purge'],
])('a preflight for %s %s is 204 and allows what the API uses', async (method, path) => {
  const response = await preflight(
    url,
    path,
    method,
    'content-type, idempotency-key, prefer, couplet-secret',
  );
  expect(response.status).toBe(204);
  expect(await response.text()).toBe('');
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
  expect(listed(response, 'access-control-allow-methods')).toEqual(
    expect.arrayContaining(['get', 'post', 'delete', 'options']),
  );
  expect(listed(response, 'access-control-allow-headers')).toEqual(
    expect.arrayContaining(['content-type', 'idempotency-key', 'prefer', 'couplet-secret']),
  );
});

test.each(['/', '/api/rooms', '/nowhere'])('a bare OPTIONS of %s is 204', async (path) => {
  expect((await fetch(url + path, { method: 'OPTIONS' })).status).toBe(204);
});

test.each([
  ['an answer', 'GET', '/', 200],
  ['an error', 'GET', '/api/rooms', 400],
  ['an unknown route', 'GET', '/nowhere', 404],
])('%s may be read by any page', async (_name, method, path, status) => {
  const response = await fetch(url + path, { method, headers: { origin: ORIGIN } });
  expect(response.status).toBe(status);
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
  expect(listed(response, 'access-control-expose-headers')).toEqual(
    expect.arrayContaining(['preference-applied', 'retry-after']),
  );
});

test('any page may read the refusal of a body', async () => {
  const response = await fetch(`${url}/api/rooms`, {
    method: 'POST',
    headers: { origin: ORIGIN, 'content-type': 'application/json' },
    body: '{',
  });
  expect(response.status).toBe(400);
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
});

describe('with a list of origins', async () => {
  const server = await startServer({
    ALLOWED_ORIGINS: `${ORIGIN} , https://Two.example:8443/,capacitor://localhost`,
  });
  afterAll(() => server.close());

  test.each([ORIGIN, 'https://two.example:8443', 'capacitor://localhost'])(
    '%s is allowed by name',
    async (origin) => {
      const response = await preflight(server.url, '/api/rooms', 'POST', 'content-type', origin);
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBe(origin);
      expect(listed(response, 'vary')).toContain('origin');
    },
  );

  test.each(['https://evil.example', 'http://app.example', `${ORIGIN}.evil.example`, 'null'])(
    '%s is not allowed',
    async (origin) => {
      const response = await preflight(server.url, '/api/rooms', 'POST', 'content-type', origin);
      expect(response.status).toBe(204);
      expect(response.headers.get('access-control-allow-origin')).toBeNull();
      const plain = await fetch(`${server.url}/`, { headers: { origin } });
      expect(plain.headers.get('access-control-allow-origin')).toBeNull();
      expect(listed(plain, 'vary')).toContain('origin');
    },
  );
});
