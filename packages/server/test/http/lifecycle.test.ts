// Readiness, with a simulated delay of the event loop.

import { expect, test } from 'vitest';
import { Lifecycle, type LoopDelay } from '../../src/http/lifecycle.js';

/** A delay monitor whose value the test sets. */
function fakeLoop(milliseconds: number): LoopDelay & { enabled: boolean } {
  return {
    max: milliseconds * 1e6,
    enabled: false,
    reset() {
      Object.assign(this, { max: 0 });
    },
    enable() {
      this.enabled = true;
      return true;
    },
    disable() {
      this.enabled = false;
      return true;
    },
  };
}

test('the server is not ready if the event loop was blocked for more than a second', async () => {
  const loop = fakeLoop(1001);
  const lifecycle = new Lifecycle(loop);
  expect(loop.enabled).toBe(true);
  expect(await lifecycle.failing()).toEqual(['event_loop']);
  expect(await new Lifecycle(fakeLoop(999)).failing()).toEqual([]);
});

test('a stall affects one probe and not later ones', async () => {
  const loop = fakeLoop(5000);
  expect(await new Lifecycle(loop).failing()).toEqual(['event_loop']);
  expect(await new Lifecycle(loop).failing()).toEqual([]);
});
