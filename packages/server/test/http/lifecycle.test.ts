// Readiness by itself, with an event loop that the test holds up.

import { parseMetrics } from '@couplet/testkit/prometheus';
import { expect, test } from 'vitest';
import { Lifecycle, type LoopDelay } from '../../src/http/lifecycle.js';
import { Metrics } from '../../src/observability/metrics.js';

/** A loop that was held up for as long as the test says. */
function fakeLoop(milliseconds: number): LoopDelay & { enabled: boolean } {
  return {
    max: milliseconds * 1e6,
    enabled: false,
    reset() {
      Object.assign(this, { max: 0 });
    },
    enable() {
      this.enabled = true;
    },
    disable() {
      this.enabled = false;
    },
  };
}

test('an event loop that was held up for more than a second is not ready', async () => {
  expect(await new Lifecycle(fakeLoop(1001)).failing()).toEqual(['event_loop']);
  expect(await new Lifecycle(fakeLoop(999)).failing()).toEqual([]);
});

test('a stall counts against one probe, not against all that follow', async () => {
  const loop = fakeLoop(5000);
  expect(await new Lifecycle(loop).failing()).toEqual(['event_loop']);
  expect(await new Lifecycle(loop).failing()).toEqual([]);
});

test('everything that fails is named', async () => {
  const lifecycle = new Lifecycle(fakeLoop(2000));
  lifecycle.require({ name: 'store', check: () => Promise.reject(new Error('full')) });
  lifecycle.require({ name: 'other', check: async () => {} });
  expect(await lifecycle.failing()).toEqual(['event_loop', 'store']);
});

test('a shutdown is reason enough, and asks nobody', async () => {
  const lifecycle = new Lifecycle(fakeLoop(2000));
  lifecycle.require({
    name: 'store',
    check: () => Promise.reject(new Error('closed already')),
  });
  lifecycle.drain();
  expect(await lifecycle.failing()).toEqual(['draining']);
});

test('an announced shutdown is told by readiness', async () => {
  const lifecycle = new Lifecycle(fakeLoop(0));
  lifecycle.announce();
  expect(await lifecycle.failing()).toEqual(['draining']);
});

test('the metric says of each check whether it fails', async () => {
  const lifecycle = new Lifecycle(fakeLoop(2000));
  lifecycle.require({ name: 'store', check: async () => {} });
  const metrics = new Metrics();
  lifecycle.measure(metrics);
  const { value } = parseMetrics(await metrics.text());
  expect(
    ['draining', 'event_loop', 'store'].map((check) => value('couplet_ready', { check })),
  ).toEqual([1, 0, 1]);
});

test('the loop is watched from the start, and no longer after the stop', () => {
  const loop = fakeLoop(0);
  const lifecycle = new Lifecycle(loop);
  expect(loop.enabled).toBe(true);
  lifecycle.stop();
  expect(loop.enabled).toBe(false);
});
