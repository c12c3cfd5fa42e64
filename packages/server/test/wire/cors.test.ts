// CORS: docs/protocol.md §3.
import { serverForTest, serverUnderTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

const { url } = await serverUnderTest();
const ORIGIN = 'https://app.example';
const HEADERS = ['content-type', 'idempotency-key', 'prefer', 'couplet-secret'];

const preflight = (base: string, path: string, method: string, origin = ORIGIN) =>
  fetch(base + path, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': method,
      'access-control-request-headers': HEADERS.join(', '),
    },
  });
const listed = (response: Response, header: string) =>
  (response.headers.get(header) ?? '').toLowerCase().split(/\s*,\s*/);
const allowed = ({ headers }: Response) => headers.get('access-control-allow-origin');

test.each([
  ['POST', '/api/rooms'],
  ['POST', '/api/rooms/accept'],
  ['POST', '/api/rooms/check'],
  ['POST', '/api/rooms/cancel'],
  ['GET', '/api/rooms'],
  ['DELETE', '/api/rooms'],
  ['POST', '/api/user/purge'],
])('a preflight for %s %s is 204 and allows what the API uses', async (method, path) => {
  const response = await preflight(url, path, method);
  expect([response.status, await response.text(), allowed(response)]).toEqual([204, '', '*']);
  expect(listed(response, 'access-control-allow-methods')).toEqual(
    expect.arrayContaining(['get', 'post', 'delete', 'options']),
  );
  expect(listed(response, 'access-control-allow-headers')).toEqual(expect.arrayContaining(HEADERS));
});

test.each([
  ['an answer', 'GET', '/', 200],
  ['an error', 'GET', '/api/rooms', 400],
  ['the refusal of a body', 'POST', '/api/rooms', 400],
  ['an unknown route', 'GET', '/nowhere', 404],
])('%s may be read by any page', async (_name, method, path, status) => {
  const headers = { origin: ORIGIN, 'content-type': 'application/json' };
  const body = method === 'POST' ? '{' : null;
  const response = await fetch(url + path, { method, headers, body });
  expect([response.status, allowed(response)]).toEqual([status, '*']);
  expect(listed(response, 'access-control-expose-headers')).toEqual(
    expect.arrayContaining(['preference-applied', 'retry-after']),
  );
});

// http/cors.test.ts has the spellings of origins.
test('with a list of origins, its origins are allowed by name, and no others', async () => {
  const { url } = await serverForTest({ ALLOWED_ORIGINS: `${ORIGIN} , capacitor://localhost` });
  for (const origin of [ORIGIN, 'capacitor://localhost', 'https://evil.example', 'null']) {
    const expected = /evil|null/.test(origin) ? null : origin;
    for (const response of [
      await preflight(url, '/api/rooms', 'POST', origin),
      await fetch(url, { headers: { origin } }),
    ]) {
      expect(allowed(response), origin).toBe(expected);
      expect(listed(response, 'vary')).toContain('origin');
    }
  }
});
