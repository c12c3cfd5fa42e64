// Access to GET /rooms and GET /metrics: docs/operations.md, Operator routes.
import { request } from 'node:http';
import { call } from '@couplet/testkit/api';
import { serverForTest, startServer } from '@couplet/testkit/server';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { rawRequest } from '../support/raw-http.js';

const TOKEN = 'correct horse battery staple';
const ROUTES = ['/rooms', '/metrics'];
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const open = await startServer();
const closed = await startServer({ PRODUCTION: '1' });
const withToken = await startServer({ PRODUCTION: '1', ADMIN_TOKEN: TOKEN });
afterAll(() => Promise.all([open, closed, withToken].map((server) => server.close())));

/** Sends headers that `fetch` would not send, such as `Host`. */
const statusOf = (url: string, path: string, headers: Record<string, string>) =>
  new Promise<number | undefined>((resolve, reject) => {
    request(`${url}${path}`, { headers }, (answer) => {
      answer.resume();
      resolve(answer.statusCode);
    })
      .on('error', reject)
      .end();
  });

describe.each(ROUTES)('GET %s', (path) => {
  test.each([
    ['nothing', {}],
    ['a wrong token', bearer('correct horse battery stable')],
    ['the token with more after it', bearer(`${TOKEN} `.padEnd(40, 'x'))],
    ['an empty token', bearer('')],
    ['the token without its scheme', { authorization: TOKEN }],
    ['the token as a password', { authorization: `Basic ${btoa(`admin:${TOKEN}`)}` }],
  ])('is 401 for a request with %s', async (_name, headers) => {
    const answer = await call(withToken.url, 'GET', path, undefined, headers);
    expect([answer.status, answer.body]).toEqual([401, { error: 'unauthorized' }]);
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  test('is 200 for the holder of the admin token, from anywhere', async () => {
    expect(await statusOf(withToken.url, path, bearer(TOKEN))).toBe(200);
    const headers = { ...bearer(TOKEN), host: 'chat.example.org', 'x-forwarded-for': '192.0.2.1' };
    expect(await statusOf(withToken.url, path, headers)).toBe(200);
  });

  test('is 401 for every request with PRODUCTION and without a token', async () => {
    for (const headers of [{}, bearer('')]) {
      expect(await statusOf(closed.url, path, headers)).toBe(401);
    }
  });

  test('with a token, is 401 for a request from the same machine without it', async () => {
    const server = await startServer({ ADMIN_TOKEN: TOKEN });
    onTestFinished(() => server.close());
    expect(await statusOf(server.url, path, {})).toBe(401);
    expect(await statusOf(server.url, path, bearer(TOKEN))).toBe(200);
  });

  test.each(['localhost', 'LOCALHOST:1', '127.0.0.1:8080', '127.8.9.1', '[::1]', '[::1]:8080'])(
    'without a token, is 200 for a request from the same machine to %s',
    async (host) => expect(await statusOf(open.url, path, { host })).toBe(200),
  );

  test.each([
    'chat.example.org',
    'localhost.example.org',
    'example.org:8080',
    '127.0.0.1.example.org',
    '192.168.1.7:8080',
    '[2001:db8::1]',
  ])('is 401 for a page that reached this machine under the name "%s"', async (host) =>
    expect(await statusOf(open.url, path, { host })).toBe(401),
  );

  test.each([
    ['forwarded', 'for=192.0.2.1'],
    ['x-forwarded-for', '127.0.0.1'],
    ['x-forwarded-for', ''],
    ['x-forwarded-host', 'chat.example.org'],
    ['x-forwarded-proto', 'https'],
    ['x-real-ip', '127.0.0.1'],
    ['x-client-ip', '192.0.2.1'],
    ['x-original-forwarded-for', '192.0.2.1'],
    ['x-envoy-external-address', '192.0.2.1'],
    ['via', '1.1 proxy'],
    ['cf-connecting-ip', '192.0.2.1'],
    ['true-client-ip', '192.0.2.1'],
    ['fly-client-ip', '192.0.2.1'],
    ['fastly-client-ip', '192.0.2.1'],
    ['cdn-loop', 'cloudflare'],
    ['connection', 'upgrade'],
  ])('is 401 for a request that a proxy on this machine forwarded (%s: %s)', async (name, value) =>
    expect(await statusOf(open.url, path, { host: 'localhost', [name]: value })).toBe(401),
  );

  test('is 401 for HTTP/1.0, which a plain proxy_pass of nginx uses', async () => {
    const bytes = `GET ${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`;
    expect((await rawRequest(open.url, bytes)).status).toBe(401);
  });

  test('is 401 for a proxy that is configured for WebSockets, also with an upgrade that is ignored', async () => {
    const bytes = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: h2c\r\nConnection: upgrade, close\r\n\r\n`;
    expect((await rawRequest(open.url, bytes)).status).toBe(401);
  });

  test('is 401 for a proxy whose header comes after 2000 others', async () => {
    const many = 'A:\r\n'.repeat(2000);
    const bytes = `GET ${path} HTTP/1.1\r\nHost: localhost\r\n${many}X-Forwarded-For: 192.0.2.1\r\nConnection: close\r\n\r\n`;
    expect((await rawRequest(open.url, bytes)).status).toBe(401);
  });

  test('is 401 for a page of another site in a browser on this machine', async () => {
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'http://localhost:3000' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ]) {
      const status = await statusOf(open.url, path, { host: 'localhost:8080', ...headers });
      expect(status, JSON.stringify(headers)).toBe(401);
    }
    const own = { host: 'localhost:8080', origin: 'http://localhost:8080' };
    expect(await statusOf(open.url, path, { ...own, 'sec-fetch-site': 'same-origin' })).toBe(200);
  });
});

test.each([
  ['127.0.0.1', 200],
  ['127.9.9.9', 200],
  ['::1', 200],
  ['::ffff:127.0.0.1', 200],
  ['192.168.1.7', 401],
  ['::ffff:192.0.2.1', 401],
  ['2001:db8::127.0.0.1', 401],
  ['172.17.0.1', 401],
])('the address %s at the other end of the connection gets %i', async (remoteAddress, status) => {
  const asked = { url: '/rooms', remoteAddress, headers: { host: 'localhost' } };
  expect((await open.app.inject(asked)).statusCode).toBe(status);
});

test('an address that a trusted proxy reports makes no request local', async () => {
  const server = await serverForTest({ TRUST_PROXY: '1' });
  expect(await statusOf(server.url, '/rooms', { 'x-forwarded-for': '127.0.0.1' })).toBe(401);
  expect(await statusOf(server.url, '/rooms', {})).toBe(200);
});
