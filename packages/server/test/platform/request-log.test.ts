// What the log says of requests and of a start without the rooms API: docs/operations.md, Logs.
import { Writable } from 'node:stream';
import { expect, onTestFinished, test } from 'vitest';
import { createLogger } from '../../src/platform/logger.js';
import { call } from '../support/api.js';
import { startServer } from '../support/server.js';

async function loggedServer(env: Record<string, string> = {}) {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(JSON.parse(chunk.toString()));
      done();
    },
  });
  const log = createLogger({ logLevel: 'info', logFormat: 'json' }, destination, false);
  const server = await startServer(env, { log });
  onTestFinished(() => server.close());
  return { ...server, lines };
}

test('GET / is logged as a health check', async () => {
  const { url, lines } = await loggedServer();
  await fetch(`${url}/?probe`);
  await expect
    .poll(() => lines)
    .toContainEqual(expect.objectContaining({ msg: 'Health check', route: '/', status: 200 }));
});

test('a request is one line with its route, not its URL', async () => {
  const { url, lines } = await loggedServer();
  await call(url, 'GET', '/api/rooms?roomid=SECRET');
  await call(url, 'GET', '/SECRET');
  const requests = () => lines.filter(({ msg }) => msg === 'request');
  await expect
    .poll(requests)
    .toEqual([
      expect.objectContaining({ method: 'GET', route: '/api/rooms', status: 404 }),
      expect.objectContaining({ method: 'GET', route: 'none', status: 404 }),
    ]);
  expect(JSON.stringify(lines)).not.toContain('SECRET');
});

test('a start without USE_SQLITE says that the rooms API is disabled', async () => {
  const { lines } = await loggedServer({ USE_SQLITE: '' });
  expect(lines).toContainEqual(
    expect.objectContaining({
      level: 40,
      msg: expect.stringMatching(/rooms API disabled.*USE_SQLITE/),
    }),
  );
  const { lines: others } = await loggedServer();
  expect(JSON.stringify(others)).not.toContain('disabled');
});
