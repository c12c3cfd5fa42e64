// Readiness, with a simulated delay of the event loop.

import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { Lifecycle } from '../../src/http/lifecycle.js';

/** An event loop that was blocked for this time before the first probe. */
const blockedFor = (milliseconds: number) => {
  const stalls = [milliseconds];
  return { takeLongest: () => stalls.shift() ?? 0 };
};

test('the server is not ready if the event loop was blocked for more than a second, which affects one probe', async () => {
  const stalls = blockedFor(1001);
  expect(await new Lifecycle(stalls).failing()).toEqual(['event_loop']);
  expect(await new Lifecycle(stalls).failing()).toEqual([]);
  expect(await new Lifecycle(blockedFor(999)).failing()).toEqual([]);
});

test('a start that blocked the event loop does not make the server unready', async () => {
  const app = Fastify();
  const lifecycle = new Lifecycle(blockedFor(5000));
  lifecycle.routes(app);
  await app.ready();
  expect(await lifecycle.failing()).toEqual([]);
});
