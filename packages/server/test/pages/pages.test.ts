// GET /client.js, /demo/ and /docs/: served files, caching and security headers (docs/operations.md, "The demo page").
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  type RunningServer,
  serverForTest,
  startServer,
  temporaryFolder,
} from '@couplet/testkit/server';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import WebSocket from 'ws';
import { captureLog } from '../support/captured-log.js';

const folder = temporaryFolder();
const publicFolder = join(folder, 'public');
const ALLOWED_ORIGINS = 'https://app.example';
let server: RunningServer;

beforeAll(async () => {
  for (const name of ['demo/assets', 'docs/assets'])
    mkdirSync(join(publicFolder, name), { recursive: true });
  const files = {
    '../secret.js': 'secret',
    'client.js': 'export const client = 1;',
    'client.js.map': '{}',
    'client-verify-abc.js': 'export const verify = 1;',
    '.stamp': 'of the build',
    'demo/index.html': '<!doctype html><html lang="en" data-join-code-digits="6">demo</html>',
    'demo/licenses.md': '# Licenses',
    'demo/assets/index-abc.js': 'start();',
    'demo/assets/index-abc.css': 'p {}',
    'demo/assets/icon-abc.svg': '<svg/>',
    'demo/assets/unknown.bin': '?',
    'docs/index.html': '<!doctype html>docs',
    'docs/assets/picture.abc.png': 'png',
  };
  for (const [name, content] of Object.entries(files))
    writeFileSync(join(publicFolder, name), content);
  server = await startServer({ ALLOWED_ORIGINS }, { publicFolder });
});
afterAll(() => server.close());

/** Gets a path of a server. Does not follow redirects. */
const get = (path: string, headers: Record<string, string> = {}, { url } = server) =>
  fetch(url + path, { headers, redirect: 'manual' });

/** Returns the page at GET /. */
const front = async (of: RunningServer) => (await get('/', { accept: 'text/html' }, of)).text();

const JAVASCRIPT = 'text/javascript; charset=utf-8';
const HTML = 'text/html; charset=utf-8';
const ANY_PAGE = {
  'access-control-allow-origin': '*',
  'cross-origin-resource-policy': 'cross-origin',
  'x-content-type-options': 'nosniff',
};
const FOREVER = { 'cache-control': 'public, max-age=31536000, immutable' };
const OWN_PAGE = {
  'x-content-type-options': 'nosniff',
  'content-security-policy': expect.stringContaining("default-src 'none'; script-src 'self'; "),
};

test.each<[string, string, Record<string, unknown>]>([
  ['/client.js', JAVASCRIPT, { ...ANY_PAGE, 'cache-control': 'no-cache' }],
  ['/client.js.map', 'application/json', ANY_PAGE],
  ['/client-verify-abc.js', JAVASCRIPT, { ...ANY_PAGE, ...FOREVER }],
  [
    '/demo/',
    HTML,
    {
      ...OWN_PAGE,
      'cache-control': 'no-cache',
      'referrer-policy': 'no-referrer',
      'permissions-policy': expect.stringContaining('camera=(self), microphone=(self)'),
      'cross-origin-opener-policy': 'same-origin',
      'content-security-policy': [
        ...["default-src 'none'", "script-src 'self'", "style-src 'self'"],
        ...["img-src 'self' data: blob:", 'media-src blob:', "connect-src 'self'"],
        ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
      ].join('; '),
    },
  ],
  ['/demo/assets/index-abc.js', JAVASCRIPT, { ...OWN_PAGE, ...FOREVER }],
  ['/demo/assets/index-abc.css', 'text/css; charset=utf-8', FOREVER],
  ['/demo/assets/icon-abc.svg', 'image/svg+xml', FOREVER],
  ['/docs/', HTML, OWN_PAGE],
  ['/docs/assets/picture.abc.png', 'image/png', FOREVER],
])('%s is %s, with the headers of its kind', async (path, type, headers) => {
  const answer = await get(path, { origin: 'https://other.example' });
  expect(answer.status).toBe(200);
  const expected = { 'content-type': expect.stringContaining(type), ...headers };
  expect(Object.fromEntries(answer.headers)).toMatchObject(expected);
});

test('/client.js is revalidated, and not sent again while it is unchanged; HEAD has its size', async () => {
  const plain = await get('/client.js');
  expect(await plain.text()).toBe('export const client = 1;');
  const etag = plain.headers.get('etag') as string;
  expect(etag).toMatch(/^"[\w-]{27}"$/);
  for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const answer = await get('/client.js', { 'if-none-match': tag });
    expect([answer.status, answer.headers.get('etag'), await answer.text()]).toEqual([
      304,
      etag,
      '',
    ]);
  }
  expect((await get('/client.js', { 'if-none-match': '"other"' })).status).toBe(200);
  const head = await fetch(`${server.url}/client.js`, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([
    200,
    '24',
    '',
  ]);
});

test.each(['demo', 'docs'])('/%s redirects, also below the mount path of a proxy', async (page) => {
  const answer = await get(`/${page}`);
  expect([answer.status, answer.headers.get('location')]).toEqual([308, `${page}/`]);
});

test('the demo page contains the number of digits of a code', async () => {
  const eight = await serverForTest({ JOIN_CODE_DIGITS: '8' }, { publicFolder });
  const page = await get('/demo/', {}, eight);
  expect(await page.text()).toContain('data-join-code-digits="8"');
  expect(page.headers.get('etag')).not.toBe((await get('/demo/')).headers.get('etag'));
});

test.each([
  ...['/demo/../secret.js', '/demo/%2e%2e/secret.js', '/demo/..%2fsecret.js', '/demo/%00'],
  ...['/demo/..%2f..%2fsecret.js', '/demo/%2e%2e%2f%2e%2e%2fsecret.js', '/demo//etc/passwd'],
  ...['/demo/assets', '/demo/assets/', '/demo/assets/unknown.bin', '/demo/nothing.js', '/.stamp'],
  ...['/demo/constructor', '/docs/absent.html', '/client-verify-other.js'],
])('%s is not found, like any other unknown path', async (path) => {
  // Not fetch, because it would normalize the path.
  const answer = await server.app.inject({ method: 'GET', url: path });
  expect([answer.statusCode, answer.json()]).toEqual([404, { error: 'not_found' }]);
});

test('GET / has a link to the demo page, and the OpenAPI document lists none of the pages', async () => {
  expect(await front(server)).toContain('<a href="demo/">');
  const { paths } = await (await get('/openapi.json')).json();
  expect(Object.keys(paths).filter((path) => /demo|client|docs/.test(path))).toEqual([]);
});

test.each([
  ['DEMO=0', { DEMO: '0' }, {}, 200],
  ['no rooms API', { USE_SQLITE: '0' }, {}, 200],
  ['no build', {}, { publicFolder: join(folder, 'absent') }, 404],
])(
  'with %s, the demo page is not found; only a missing build is a warning',
  async (_, env, deps, script) => {
    const { log, text } = captureLog();
    const without = await serverForTest(env, { publicFolder, log, ...deps });
    for (const path of ['/demo', '/demo/', '/demo/assets/index-abc.js']) {
      const answer = await get(path, {}, without);
      expect([answer.status, await answer.json()]).toEqual([404, { error: 'not_found' }]);
    }
    expect((await get('/client.js', {}, without)).status).toBe(script);
    expect((await get('/docs/', {}, without)).status).toBe(script);
    expect(await front(without)).not.toContain('demo');
    const warning = '/client.js or the demo page is missing: npm run build creates them';
    expect(text().includes(warning)).toBe(script === 404);
  },
);

test('the demo page gets the addresses of this machine only on the machine itself', async () => {
  const ask = async (headers: Record<string, string> = {}) =>
    (await get('/demo/lan-origins', headers)).json();
  // A server that listens on loopback has no other address.
  expect(await ask()).toEqual([]);
  const bound = { address: '192.168.1.10', family: 'IPv4', port: 8080 };
  const address = vi.spyOn(server.app.server, 'address').mockReturnValue(bound);
  expect(await ask()).toEqual(['http://192.168.1.10:8080']);
  expect(await ask({ 'x-forwarded-for': '203.0.113.9' })).toEqual([]);
  expect(await ask({ origin: 'https://other.example' })).toEqual([]);
  address.mockRestore();
});

test('with ALLOWED_ORIGINS, the WebSocket refuses its own origin if the demo page is off', async () => {
  const { url, wsUrl } = await serverForTest({ ALLOWED_ORIGINS, DEMO: '0' });
  const socket = new WebSocket(wsUrl, { origin: url });
  const opened = new Promise<boolean>((resolve) => {
    socket.once('open', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  expect(await opened).toBe(false);
});
