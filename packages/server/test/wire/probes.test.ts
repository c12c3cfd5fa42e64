// GET /healthz and GET /readyz: for restarts and for routing by an orchestrator.
import { PassThrough } from 'node:stream';
import { call } from '@couplet/testkit/api';
import { FakeClock } from '@couplet/testkit/fake-clock';
import { Peer } from '@couplet/testkit/peer';
import { startServer } from '@couplet/testkit/server';
import { expect, onTestFinished, test } from 'vitest';
import { Unavailable } from '../../src/base/failures.js';
import { createLogger } from '../../src/observability/logger.js';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';

const notReady = (what: string) => ({ error: 'unavailable', details: `not ready: ${what}` });

test('a working server is healthy and ready', async () => {
  const { url, close } = await startServer();
  onTestFinished(close);
  const healthy = await call(url, 'GET', '/healthz');
  expect([healthy.status, healthy.body]).toEqual([200, { status: 'ok' }]);
  const ready = await call(url, 'GET', '/readyz');
  expect([ready.status, ready.body]).toEqual([200, { status: 'ready' }]);
});

test('a server without a store is ready too, because it forwards signaling', async () => {
  const { url, close } = await startServer({ USE_SQLITE: '' });
  onTestFinished(close);
  expect((await call(url, 'GET', '/readyz')).body).toEqual({ status: 'ready' });
});

test('probes need no token in production, because an orchestrator has none', async () => {
  const { url, close } = await startServer({ PRODUCTION: '1', ADMIN_TOKEN: 'x'.repeat(16) });
  onTestFinished(close);
  expect((await call(url, 'GET', '/healthz')).status).toBe(200);
  expect((await call(url, 'GET', '/readyz')).status).toBe(200);
});

test('if the store cannot be written, the server is healthy but not ready, and recovers without a restart', async () => {
  const store = openSqliteStore(':memory:');
  let writable = false;
  const probe = async (now: number) => {
    if (!writable) throw new Unavailable(new Error('disk full'));
    return store.probe(now);
  };
  const { url, close } = await startServer({}, { store: { ...store, probe } });
  onTestFinished(close);
  const red = await call(url, 'GET', '/readyz');
  expect([red.status, red.body]).toEqual([503, notReady('store')]);
  expect(Number(red.headers.get('retry-after'))).toBeGreaterThan(0);
  expect((await call(url, 'GET', '/healthz')).status).toBe(200);
  writable = true;
  await expect.poll(async () => (await call(url, 'GET', '/readyz')).status).toBe(200);
});

test('with any number of probes, the store is written to at most once a second', async () => {
  const store = openSqliteStore(':memory:');
  let probes = 0;
  const probe = async (now: number) => {
    probes += 1;
    return store.probe(now);
  };
  const { url, close } = await startServer({}, { store: { ...store, probe } });
  onTestFinished(close);
  const began = performance.now();
  await Promise.all(Array.from({ length: 50 }, () => call(url, 'GET', '/readyz')));
  expect(probes).toBeLessThanOrEqual(1 + Math.floor((performance.now() - began) / 1000));
});

test('a server that shuts down is healthy but not ready, and refuses new clients', async () => {
  const clock = new FakeClock();
  const sink = new PassThrough();
  const log = createLogger({ logLevel: 'warn', logFormat: 'json' }, sink, false);
  const server = await startServer({ SHUTDOWN_SECONDS: '10' }, { clock, log });
  const peer = await Peer.connect(server.wsUrl);
  // It does not answer the close frame, so the shutdown lasts until the clock is moved.
  peer.socket.pause();
  const closing = server.close();
  await expect.poll(async () => (await call(server.url, 'GET', '/readyz')).status).toBe(503);
  expect((await call(server.url, 'GET', '/readyz')).body).toEqual(notReady('draining'));
  expect((await call(server.url, 'GET', '/healthz')).status).toBe(200);
  const refused = await call(server.url, 'GET', '/api/rooms?roomid=x');
  expect([refused.status, refused.body]).toEqual([503, { error: 'unavailable' }]);
  clock.advance(10_000);
  await closing;
  // A rolling update logs no warning.
  expect(sink.read()).toBeNull();
});
