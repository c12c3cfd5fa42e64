// GET /client.js, /demo/ and /docs/: served files, caching and security headers (docs/operations.md, "The demo page").
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serverForTest, startServer, temporaryFolder } from '@couplet/testkit/server';
import { beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import WebSocket from 'ws';
import type { AppDeps } from '../../src/app.js';
import { captureLog } from '../support/captured-log.js';

const folder = temporaryFolder();
const built = join(folder, 'public');

beforeAll(() => {
  mkdirSync(join(built, 'demo/assets'), { recursive: true });
  writeFileSync(join(folder, 'secret.js'), 'secret');
  const files = {
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
  };
  for (const [name, content] of Object.entries(files)) writeFileSync(join(built, name), content);
});

/** Starts a server with those pages. */
async function start(env: Record<string, string> = {}, deps: AppDeps = {}): Promise<string> {
  const server = await serverForTest(env, { publicFolder: built, ...deps });
  return server.url;
}

describe('/client.js', () => {
  test('any page may import it', async () => {
    const url = await start({ ALLOWED_ORIGINS: 'https://app.example' });
    const answer = await fetch(`${url}/client.js`, {
      headers: { Origin: 'https://other.example' },
    });
    expect(answer.status).toBe(200);
    expect(await answer.text()).toBe('export const client = 1;');
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/javascript; charset=utf-8',
      'access-control-allow-origin': '*',
      'cross-origin-resource-policy': 'cross-origin',
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-cache',
    });
  });

  test('is revalidated, and not sent again while it is unchanged', async () => {
    const url = await start();
    const etag = (await fetch(`${url}/client.js`)).headers.get('etag') as string;
    expect(etag).toMatch(/^"[\w-]{27}"$/);
    for (const tag of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
      const answer = await fetch(`${url}/client.js`, { headers: { 'If-None-Match': tag } });
      expect(answer.status, tag).toBe(304);
      expect(answer.headers.get('etag')).toBe(etag);
      expect(await answer.text()).toBe('');
    }
    const answer = await fetch(`${url}/client.js`, { headers: { 'If-None-Match': '"other"' } });
    expect(answer.status).toBe(200);
  });

  test('answers HEAD, and has its source map', async () => {
    const url = await start();
    const head = await fetch(`${url}/client.js`, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(head.headers.get('content-length')).toBe('24');
    const map = await fetch(`${url}/client.js.map`);
    expect([map.status, await map.json()]).toEqual([200, {}]);
  });

  test('any page may load the script that verifies a pairing, of the same version only', async () => {
    const url = await start();
    const answer = await fetch(`${url}/client-verify-abc.js`);
    expect([answer.status, await answer.text()]).toEqual([200, 'export const verify = 1;']);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'access-control-allow-origin': '*',
      'cache-control': 'public, max-age=31536000, immutable',
    });
    expect((await fetch(`${url}/client-verify-other.js`)).status).toBe(404);
  });
});

describe('/demo/', () => {
  test('may use only its own origin, run no inline code, and not be framed', async () => {
    const url = await start();
    const answer = await fetch(`${url}/demo/`);
    expect(answer.status).toBe(200);
    const policy = answer.headers.get('content-security-policy')?.split('; ');
    expect(policy).toEqual([
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "img-src 'self' data: blob:",
      'media-src blob:',
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'none'",
      "frame-ancestors 'none'",
    ]);
    expect(Object.fromEntries(answer.headers)).toMatchObject({
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-cache',
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'permissions-policy': expect.stringContaining('camera=(self), microphone=(self)'),
      'cross-origin-opener-policy': 'same-origin',
    });
  });

  test('/demo redirects to it, also below the mount path of a proxy', async () => {
    const url = await start();
    const answer = await fetch(`${url}/demo`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([308, 'demo/']);
  });

  test.each([
    ['index-abc.js', 'text/javascript; charset=utf-8'],
    ['index-abc.css', 'text/css; charset=utf-8'],
    ['icon-abc.svg', 'image/svg+xml'],
  ])('%s is named by its content and may be cached forever', async (name, type) => {
    const answer = await fetch(`${await start()}/demo/assets/${name}`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, type]);
    expect(answer.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(answer.headers.get('content-security-policy')).toContain("default-src 'none'");
  });

  test('contains the number of digits of a code', async () => {
    const url = await start({ JOIN_CODE_DIGITS: '8' });
    const text = await (await fetch(`${url}/demo/`)).text();
    expect(text).toContain('data-join-code-digits="8"');
    const six = await fetch(`${await start()}/demo/`);
    const eight = await fetch(`${url}/demo/`);
    expect(six.headers.get('etag')).not.toBe(eight.headers.get('etag'));
  });

  test.each([
    '/demo/../secret.js',
    '/demo/%2e%2e/secret.js',
    '/demo/..%2fsecret.js',
    '/demo/..%2f..%2fsecret.js',
    '/demo/%2e%2e%2f%2e%2e%2fsecret.js',
    '/demo//etc/passwd',
    '/demo/assets',
    '/demo/assets/',
    '/demo/assets/unknown.bin',
    '/demo/nothing.js',
    '/demo/constructor',
    '/.stamp',
    '/demo/%00',
  ])('%s is not found, like any other unknown path', async (path) => {
    const server = await startServer({}, { publicFolder: built });
    onTestFinished(() => server.close());
    // Not fetch, because it would normalize the path.
    const answer = await server.app.inject({ method: 'GET', url: path });
    expect([answer.statusCode, answer.json()]).toEqual([404, { error: 'not_found' }]);
  });

  test('DEMO=0 turns it off: its path is not found, and GET / has no link to it', async () => {
    const url = await start({ DEMO: '0' });
    for (const path of ['/demo', '/demo/', '/demo/assets/index-abc.js']) {
      const answer = await fetch(url + path, { redirect: 'manual' });
      expect([answer.status, await answer.json()]).toEqual([404, { error: 'not_found' }]);
    }
    expect((await fetch(`${url}/client.js`)).status).toBe(200);
    expect(await front(url)).not.toContain('demo');
  });

  test('is off without the rooms API', async () => {
    const url = await start({ USE_SQLITE: '0' });
    expect((await fetch(`${url}/demo/`)).status).toBe(404);
    expect(await front(url)).not.toContain('demo');
  });

  test('tells the addresses of this machine only to itself', async () => {
    const server = await startServer({}, { publicFolder: built });
    onTestFinished(() => server.close());
    const ask = async (headers: Record<string, string> = {}) =>
      (await fetch(`${server.url}/demo/lan-origins`, { headers })).json();
    // A server that listens on loopback has no other address.
    expect(await ask()).toEqual([]);
    const bound = { address: '192.168.1.10', family: 'IPv4', port: 8080 };
    vi.spyOn(server.app.server, 'address').mockReturnValue(bound);
    expect(await ask()).toEqual(['http://192.168.1.10:8080']);
    expect(await ask({ 'x-forwarded-for': '203.0.113.9' })).toEqual([]);
    expect(await ask({ origin: 'https://other.example' })).toEqual([]);
  });

  test('GET / has a link to it', async () => {
    expect(await front(await start())).toContain('<a href="demo/">');
  });

  test('is not in the OpenAPI document', async () => {
    const { paths } = await (await fetch(`${await start()}/openapi.json`)).json();
    expect(Object.keys(paths).filter((path) => /demo|client/.test(path))).toEqual([]);
  });
});

describe('/docs/', () => {
  test('is served if it is built, with scripts of its own origin only', async () => {
    const docs = join(folder, 'with-docs');
    mkdirSync(join(docs, 'docs/assets'), { recursive: true });
    writeFileSync(join(docs, 'docs/index.html'), '<!doctype html>docs');
    writeFileSync(join(docs, 'docs/assets/picture.abc.png'), 'png');
    const url = await start({}, { publicFolder: docs });
    const moved = await fetch(`${url}/docs`, { redirect: 'manual' });
    expect([moved.status, moved.headers.get('location')]).toEqual([308, 'docs/']);
    const index = await fetch(`${url}/docs/`);
    expect([index.status, await index.text()]).toEqual([200, '<!doctype html>docs']);
    expect(index.headers.get('content-security-policy')).toContain("script-src 'self';");
    const picture = await fetch(`${url}/docs/assets/picture.abc.png`);
    expect(picture.headers.get('content-type')).toBe('image/png');
    expect(picture.headers.get('cache-control')).toContain('immutable');
    expect((await fetch(`${url}/docs/absent.html`)).status).toBe(404);
  });

  test('is not found if it is not built', async () => {
    expect((await fetch(`${await start()}/docs/`)).status).toBe(404);
  });
});

test('without a build, a warning is logged, the pages are not found, and everything else works', async () => {
  const { log, lines } = captureLog();
  const url = await start({}, { publicFolder: join(folder, 'absent'), log });
  expect(lines().map(({ msg }) => msg)).toContain(
    '/client.js or the demo page is missing: npm run build creates them',
  );
  for (const path of ['/client.js', '/demo', '/demo/']) {
    expect((await fetch(url + path)).status, path).toBe(404);
  }
  expect(await front(url)).not.toContain('demo');
});

describe('the WebSocket of a server with ALLOWED_ORIGINS', () => {
  const ALLOWED_ORIGINS = 'https://app.example';
  const connects = (url: string, origin: string, headers: Record<string, string> = {}) =>
    new Promise<boolean>((resolve) => {
      const socket = new WebSocket(url.replace('http', 'ws'), { origin, headers });
      socket.once('open', () => {
        socket.terminate();
        resolve(true);
      });
      socket.once('error', () => resolve(false));
    });

  test('refuses its own origin if the demo page is off', async () => {
    const url = await start({ ALLOWED_ORIGINS, DEMO: '0' });
    expect(await connects(url, url)).toBe(false);
  });
});

/** Returns the page at GET /. */
const front = async (url: string): Promise<string> =>
  (await fetch(url, { headers: { Accept: 'text/html' } })).text();
