// Tests the allocation check: each refusal of a TURN server (RFC 8656 §19) and its advice.
import { expect, test } from 'vitest';
import { allocationCheck } from '../src/checks/allocation.js';
import type { IceTarget } from '../src/ice-target.js';
import { TurnError } from '../src/turn-client.js';

/** A target whose server gives this answer to an allocation. */
function target(allocate: () => Promise<unknown>, username = '4102444800:user'): IceTarget {
  const credentials = { username, credential: 'hunter2' };
  return { client: { allocate }, credentials } as unknown as IceTarget;
}
const refusing = (code: number, username?: string) =>
  target(() => Promise.reject(new TurnError({ code, reason: 'No' })), username);
const run = (subject: IceTarget) => allocationCheck.run(subject, new AbortController().signal);

test.each([
  [401, 'a static user', /same TURN_SECRET/],
  [401, '1000000000:user', /NTP/],
  [403, undefined, /forbids it/],
  [486, undefined, /user-quota/],
  [508, undefined, /TURN_MIN_PORT/],
  [500, undefined, /TURN_VERBOSE=1/],
])('refused with %d for %s', async (code, username, advice) => {
  const finding = await run(refusing(code, username));
  expect(finding).toMatchObject({
    status: 'failed',
    detail: expect.stringContaining(`refused with ${code}`),
    advice: expect.stringMatching(advice),
  });
  expect(JSON.stringify(finding)).not.toContain('hunter2');
});

test('a server without credentials is a fault', async () => {
  const finding = await run({ credentials: undefined } as unknown as IceTarget);
  expect(finding).toMatchObject({ status: 'failed', detail: 'provided without credentials' });
});
