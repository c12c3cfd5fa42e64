// Tests when a lost path leads to an ICE restart.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { pathGuard } from '../../src/session/path-guard.js';

function guard() {
  const clock = new FakeClock();
  const guarded = { clock, restarts: 0 };
  return Object.assign(guarded, { guard: pathGuard(() => void guarded.restarts++, clock) });
}

test('a path that stays disconnected for a second is restarted once', () => {
  const guarded = guard();
  guarded.guard('disconnected');
  guarded.clock.advance(999);
  expect(guarded.restarts).toBe(0);
  guarded.clock.advance(1);
  expect(guarded.restarts).toBe(1);
  guarded.clock.advance(60_000);
  expect(guarded.restarts).toBe(1);
});
