// Request ids: unique, short, and never from the client.

import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';
import { requestIds } from '../../src/http/every-request.js';

test('ids differ within a run and between runs', () => {
  const [one, other] = [requestIds(), requestIds()];
  const ids = Array.from({ length: 1000 }, (_, n) => (n % 2 === 0 ? one() : other()));
  expect(new Set(ids).size).toBe(1000);
  for (const id of ids) expect(id).toMatch(/^[0-9a-f]{6}-[0-9a-z]+$/);
});

test('every answer has its id, which is never the id of the client', async () => {
  const server = await serverForTest();
  const headers = { 'x-request-id': 'mine', 'request-id': 'mine' };
  const seen = new Set<string | null>();
  for (const path of ['/', '/nowhere', '/api/rooms']) {
    seen.add((await fetch(server.url + path, { headers })).headers.get('x-request-id'));
  }
  expect(seen.size).toBe(3);
  for (const id of seen) expect(id).toMatch(/^[0-9a-f]{6}-/);
});
