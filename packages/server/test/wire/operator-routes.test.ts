// Access to GET /rooms and GET /metrics: docs/operations.md, Operator routes.
import { startServer } from '@couplet/testkit/server';
import { afterAll, describe, expect, test } from 'vitest';
import { type RequestHeaders, rawRequest, request } from '../support/raw-http.js';

const TOKEN = 'correct horse battery staple';
const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const SERVERS = {
  open: await startServer(),
  closed: await startServer({ PRODUCTION: '1' }),
  withToken: await startServer({ PRODUCTION: '1', ADMIN_TOKEN: TOKEN }),
  tokenOnly: await startServer({ ADMIN_TOKEN: TOKEN }),
  behindProxy: await startServer({ TRUST_PROXY: '1' }),
};
afterAll(() => Promise.all(Object.values(SERVERS).map((server) => server.close())));

/** Header lines with ` | ` between them. */
const listOf = (lines: string): RequestHeaders[] =>
  lines.split(' | ').map((line) => Object.fromEntries([line.split(': ')]));
const local = (headers: RequestHeaders = {}) => ({ host: 'localhost:8080', ...headers });
const own = { origin: 'http://localhost:8080', 'sec-fetch-site': 'same-origin' };

/** Server → requests that are served, and requests that are refused. */
const REQUESTS: Record<
  keyof typeof SERVERS,
  { served: RequestHeaders[]; refused: RequestHeaders[] }
> = {
  withToken: {
    served: [
      local(bearer(TOKEN)),
      { host: 'chat.example.org', 'x-forwarded-for': '192.0.2.1', ...bearer(TOKEN) },
    ],
    refused: [
      local(),
      bearer('correct horse battery stable'),
      bearer(`${TOKEN} `.padEnd(40, 'x')),
      bearer(''),
      { authorization: TOKEN },
      { authorization: `Basic ${btoa(`admin:${TOKEN}`)}` },
    ],
  },
  closed: { served: [], refused: [local(), bearer('')] },
  tokenOnly: { served: [local(bearer(TOKEN))], refused: [local()] },
  behindProxy: { served: [local()], refused: [local({ 'x-forwarded-for': '127.0.0.1' })] },
  open: {
    served: [
      ...listOf('host: localhost | host: LOCALHOST:1 | host: 127.0.0.1:8080 | host: 127.8.9.1'),
      ...listOf('host: [::1] | host: [::1]:8080'),
      local(own),
    ],
    refused: [
      // A page that reached this machine under another name.
      ...listOf('host: chat.example.org | host: localhost.example.org | host: example.org:8080'),
      ...listOf('host: 127.0.0.1.example.org | host: 192.168.1.7:8080 | host: [2001:db8::1]'),
      // A request that a proxy on this machine forwarded, also after 2000 other headers.
      ...[
        ...listOf('forwarded: for=192.0.2.1 | x-forwarded-for: 127.0.0.1 | x-forwarded-for: '),
        ...listOf('x-forwarded-host: chat.example.org | x-forwarded-proto: https | via: 1.1 proxy'),
        ...listOf('x-real-ip: 127.0.0.1 | x-client-ip: 192.0.2.1 | true-client-ip: 192.0.2.1'),
        ...listOf('x-original-forwarded-for: 192.0.2.1 | x-envoy-external-address: 192.0.2.1'),
        ...listOf('cf-connecting-ip: 192.0.2.1 | fly-client-ip: 192.0.2.1 | cdn-loop: cloudflare'),
        ...listOf('fastly-client-ip: 192.0.2.1'),
        // A proxy that is configured for WebSockets.
        { connection: 'upgrade, close', upgrade: 'h2c' },
        { a: `\r\n${'A:\r\n'.repeat(1999)}x-forwarded-for: 192.0.2.1` },
        // A page of another site in a browser on this machine.
        ...listOf('origin: https://evil.example | origin: null | origin: http://localhost:3000'),
        ...listOf('sec-fetch-site: cross-site | sec-fetch-site: same-site'),
      ].map(local),
    ],
  },
};

describe.each(['/rooms', '/metrics'])('GET %s', (path) => {
  test.each(Object.keys(SERVERS) as (keyof typeof SERVERS)[])('on the server %s', async (name) => {
    const ask = (headers: RequestHeaders) =>
      rawRequest(SERVERS[name].url, request(`GET ${path}`, headers));
    for (const headers of REQUESTS[name].served) {
      expect((await ask(headers)).status, JSON.stringify(headers)).toBe(200);
    }
    for (const headers of REQUESTS[name].refused) {
      const answer = await ask(headers);
      expect([answer.status, answer.body], JSON.stringify(headers).slice(0, 99)).toEqual([
        401,
        '{"error":"unauthorized"}',
      ]);
      expect(answer.headers.get('www-authenticate')).toBe('Bearer');
    }
  });

  test('is 401 for HTTP/1.0, which a plain proxy_pass of nginx uses', async () => {
    const bytes = `GET ${path} HTTP/1.0\r\nHost: localhost\r\n\r\n`;
    expect((await rawRequest(SERVERS.open.url, bytes)).status).toBe(401);
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
  expect((await SERVERS.open.app.inject(asked)).statusCode).toBe(status);
});
