// Failed guesses: which ones make an address wait, and when all of them slow down.
import { expect, test } from 'vitest';
import { ACCEPT_GUESSES, CHECK_GUESSES, createGuesses } from '../../src/pairing/guesses.js';
import { MemoryMinuteCount } from '../../src/platform/minute-count.js';
import { MemoryPenalties } from '../../src/platform/penalties.js';
import { MemoryQuota } from '../../src/platform/quota.js';
import { FakeClock } from '../support/fake-clock.js';

function setUp(failuresPerMinute = 1000, maxHeld = 10) {
  const clock = new FakeClock();
  const counted = { accept: 0, check: 0 };
  const guesses = createGuesses(
    {
      accepts: new MemoryPenalties(ACCEPT_GUESSES, clock, 100),
      checks: new MemoryPenalties(CHECK_GUESSES, clock, 100),
      creates: new MemoryQuota(100, clock, 100),
      failures: new MemoryMinuteCount(clock),
    },
    { failuresPerMinute, delayMs: 3000, maxHeld },
    clock,
    (kind) => {
      counted[kind] += 1;
    },
  );
  return { clock, guesses, counted };
}

test('failed accepts beyond the free ones make their address wait, and no other', async () => {
  const { guesses, counted } = setUp();
  for (let n = 0; n < ACCEPT_GUESSES.free; n++) await guesses.acceptFailed('a');
  expect(await guesses.acceptWait('a')).toBe(0);
  await guesses.acceptFailed('a');
  expect(await guesses.acceptWait('a')).toBe(1);
  expect(await guesses.acceptWait('b')).toBe(0);
  expect(counted).toEqual({ accept: ACCEPT_GUESSES.free + 1, check: 0 });
});

test('failed checks have a wider budget of their own, and never cost an accept', async () => {
  const { guesses } = setUp();
  for (let n = 0; n < CHECK_GUESSES.free; n++) expect(await guesses.checkFailed('a')).toBe(0);
  expect(await guesses.checkFailed('a')).toBe(0);
  expect(await guesses.checkFailed('a')).toBe(1);
  expect(await guesses.acceptWait('a')).toBe(0);
});

test('beyond the budget of the server every failure is answered late, and the alarm is raised', async () => {
  const { guesses, clock } = setUp(2);
  await guesses.acceptFailed('a');
  await guesses.acceptFailed('b');
  expect(await guesses.alarmed()).toBe(false);
  let answered = false;
  const third = guesses.acceptFailed('c').then(() => {
    answered = true;
  });
  // The failure is noted before it is held: as many turns as the memory of penalties may take.
  for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  expect(await guesses.alarmed()).toBe(true);
  expect(answered).toBe(false);
  clock.advance(3000);
  await third;
  expect(answered).toBe(true);
});

test('one address alone cannot use up the budget of the server: what is refused is no failure', async () => {
  const { guesses, counted } = setUp(CHECK_GUESSES.free + 1);
  for (let n = 0; n < 1000; n++) await guesses.checkFailed('a');
  expect(await guesses.alarmed()).toBe(false);
  expect(counted.check).toBe(CHECK_GUESSES.free + 1);
});

test('the budget is new with every minute', async () => {
  const { guesses, clock } = setUp(1);
  await guesses.acceptFailed('a');
  clock.advance(60_000);
  await guesses.acceptFailed('b');
  expect(await guesses.alarmed()).toBe(false);
});

test('only so many failures are held: a flood of them costs no memory', async () => {
  const { guesses, clock } = setUp(0, 2);
  const held = [guesses.acceptFailed('a'), guesses.acceptFailed('b')];
  await guesses.acceptFailed('c');
  expect(clock.pending).toBe(2);
  clock.advance(3000);
  await Promise.all(held);
});
