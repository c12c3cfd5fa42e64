// Request ids: unique, short, and never from the client.

import { serverForTest } from '@couplet/testkit/server';
import { expect, test } from 'vitest';

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
