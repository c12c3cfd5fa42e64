// GET /healthz and GET /readyz: for restarts and for routing by an orchestrator. pairing/database-gone.test.ts and
// faults/shutdown.test.ts have servers that are healthy and not ready.
import { call } from '@couplet/testkit/api';
import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { openSqliteStore } from '../../src/pairing/sqlite/store.js';

test.each([
  ['a working server', {}],
  ['without a store, because it forwards signaling, a server', { USE_SQLITE: '' }],
  ['without a token, which an orchestrator does not have, a server', { PRODUCTION: '1' }],
])('%s is healthy and ready', async (_what, env) => {
  const { url } = await serverForTest({ ADMIN_TOKEN: 'x'.repeat(16), ...env });
  for (const [path, status] of [
    ['/healthz', 'ok'],
    ['/readyz', 'ready'],
  ] as const) {
    const answer = await call(url, 'GET', path);
    expect([answer.status, answer.body]).toEqual([200, { status }]);
  }
});

test('with any number of probes, the store is written to at most once a second', async () => {
  const store = openSqliteStore(':memory:');
  let probes = 0;
  const probe = async (now: number) => {
    probes += 1;
    return store.probe(now);
  };
  const { url } = await serverForTest({}, { store: { ...store, probe } });
  const began = performance.now();
  await Promise.all(Array.from({ length: 50 }, () => call(url, 'GET', '/readyz')));
  expect(probes).toBeLessThanOrEqual(1 + Math.floor((performance.now() - began) / 1000));
});
