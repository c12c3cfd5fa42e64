// Guesses: each counts as a failure before the store is asked, and the ceiling of the server refuses without refusing a right code.
import { expect, test } from 'vitest';
import {
  ACCEPT_GUESSES,
  CHECK_GUESSES,
  createGuesses,
  type Guesses,
  TURNS,
} from '../../src/pairing/guesses.js';
import { Limited } from '../../src/platform/http-errors.js';
import { MemoryMinuteCount } from '../../src/platform/minute-count.js';
import { MemoryPenalties } from '../../src/platform/penalties.js';
import { MemoryQuota } from '../../src/platform/quota.js';
import { FakeClock } from '../support/fake-clock.js';

function setUp(ceiling = 1000) {
  const clock = new FakeClock();
  const counted = { accept: 0, check: 0, address: 0, ceiling: 0, queue: 0 };
  const count = (name: keyof typeof counted) => {
    counted[name] += 1;
  };
  const guesses = createGuesses(
    {
      accepts: new MemoryPenalties(ACCEPT_GUESSES, clock, 1000),
      checks: new MemoryPenalties(CHECK_GUESSES, clock, 1000),
      creates: new MemoryQuota(100, clock, 100),
      failures: new MemoryMinuteCount(clock),
    },
    ceiling,
    clock,
    { failed: count, refused: count },
  );
  let asked = 0;
  /** Tries a code; the store answers in a later turn. Resolves to whether it was right, or to the seconds to wait. */
  const guess = async (
    address: string,
    isRight = false,
    kind: 'accept' | 'create' | 'check' = 'accept',
    isGone = () => false,
  ): Promise<boolean | number> => {
    const attempt = {
      address,
      isGone,
      async run() {
        asked += 1;
        await new Promise<void>((resolve) => setImmediate(resolve));
        return isRight;
      },
      hasFailed: (outcome: boolean) => !outcome,
    };
    return guesses[kind](attempt).catch((error) => {
      if (error instanceof Limited) return error.seconds;
      throw error;
    });
  };
  return { clock, guesses, counted, guess, asked: () => asked };
}

const many = <T>(times: number, work: (n: number) => Promise<T>) =>
  Promise.all(Array.from({ length: times }, (_, n) => work(n)));

/** The ways in which an address may use up its budget of accepts. */
const KINDS = ['accept', 'create'] as const;

test('of a burst of accepts and creates an address gets the free failures and one, then waits; another does not', async () => {
  const { guess, asked, counted } = setUp();
  await many(200, (n) => guess('a', false, KINDS[n % 2]));
  expect(asked()).toBe(ACCEPT_GUESSES.free + 1);
  expect(counted).toMatchObject({ accept: ACCEPT_GUESSES.free + 1, check: 0 });
  for (const kind of KINDS) expect(await guess('a', true, kind)).toBe(1);
  expect(await guess('b', true)).toBe(true);
});

test('creates that the store could not answer cost nothing', async () => {
  const { guesses, guess } = setUp();
  const away = {
    address: 'a',
    isGone: () => false,
    run: () => Promise.reject(new Error('store away')),
    hasFailed: () => true,
  };
  for (let n = 0; n < 150; n++) await expect(guesses.create(away)).rejects.toThrow('store away');
  expect(await guess('a', true, 'create')).toBe(true);
});

test('failed checks have a wider budget of their own, and never cost an accept', async () => {
  const { guess, asked } = setUp();
  await many(500, () => guess('a', false, 'check'));
  expect(asked()).toBe(CHECK_GUESSES.free + 1);
  // A check that is refused tells nothing, not even the creator of the code.
  expect(await guess('a', true, 'check')).toBe(1);
  expect(asked()).toBe(CHECK_GUESSES.free + 1);
  expect(await guess('a', true)).toBe(true);
});

test('a hundred right codes of one address at once pass, also with its last free failure', async () => {
  for (const failed of [0, ACCEPT_GUESSES.free]) {
    const { guess } = setUp();
    for (let n = 0; n < failed; n++) await guess('a');
    const answers = await many(100, (n) => guess('a', true, KINDS[n % 2]));
    expect(new Set(answers)).toEqual(new Set([true]));
  }
});

test('of one address so many ask the store at once; beyond its queue they are refused for a second', async () => {
  const { guess, asked, counted } = setUp();
  const { atOnce, waiting } = TURNS.accept;
  const answers = many(atOnce + waiting + 5, () => guess('a', true));
  await new Promise<void>((resolve) => process.nextTick(resolve));
  expect(asked()).toBe(atOnce);
  const seconds = (await answers).filter((answer) => answer !== true);
  expect(seconds).toEqual([1, 1, 1, 1, 1]);
  expect(counted.queue).toBe(5);
});

test('a client that hangs up while it waits for its turn never asks the store; one that asks has its failure counted', async () => {
  const { guess, asked } = setUp();
  let isGone = false;
  const answers = many(50, () => guess('a', false, 'accept', () => isGone));
  await new Promise<void>((resolve) => process.nextTick(resolve));
  isGone = true;
  await answers;
  expect(asked()).toBe(TURNS.accept.atOnce);
  for (let n = asked(); n <= ACCEPT_GUESSES.free; n++) expect(await guess('a')).toBe(false);
  expect(await guess('a')).toBe(1);
});

test('a store that cannot answer costs nothing', async () => {
  const { guesses, guess } = setUp();
  for (let n = 0; n < 100; n++) {
    const attempt = {
      address: 'a',
      isGone: () => false,
      run: () => Promise.reject(new Error('away')),
      hasFailed: () => true,
    };
    await expect(guesses.accept(attempt)).rejects.toThrow('away');
  }
  expect(await guess('a')).toBe(false);
});

test('a create is taken out of the quota only where the store is asked, and refused beyond it', async () => {
  const { guess, guesses, clock } = setUp();
  const take = () => guess('a', true, 'create');
  await many(100, take);
  expect(await take()).toBe(36);
  expect(await guess('a', true)).toBe(true);
  expect(await guesses.alarmed()).toBe(false);
  clock.advance(36_000);
  expect(await take()).toBe(true);
});

test('of a burst from many addresses no more failures are told than the ceiling; each address has one try', async () => {
  const { guess, guesses, asked, counted } = setUp(50);
  const answers = await many(1000, (n) => guess(`address ${n % 100}`));
  expect(answers.filter((answer) => answer === false)).toHaveLength(50);
  expect(asked()).toBeLessThanOrEqual(50 + 100);
  expect(counted.ceiling).toBe(1000 - 50);
  expect(await guesses.alarmed()).toBe(true);
});

test('beyond the ceiling a right code of a clean address is answered, a wrong one is 429 until the next minute, and so is all of an address that has failed', async () => {
  const { guess, guesses, clock } = setUp(2);
  clock.advance(20_000);
  expect(await guess('a')).toBe(false);
  expect(await guesses.alarmed()).toBe(false);
  expect(await guess('b')).toBe(false);
  expect(await guesses.alarmed()).toBe(true);
  expect(await many(20, () => guess('c', true))).toEqual(Array(20).fill(true));
  expect(await guess('a', true)).toBe(40);
  expect(await guess('c')).toBe(40);
  expect(await guess('c', true)).toBe(40);
  clock.advance(40_000);
  expect(await guesses.alarmed()).toBe(false);
  expect(await guess('c', true)).toBe(true);
  expect(await guess('a')).toBe(false);
});

test('one address alone cannot reach the ceiling: what is refused is no failure', async () => {
  const { guess, guesses, counted } = setUp(CHECK_GUESSES.free + 2);
  for (let n = 0; n < 1000; n++) await guess('a', false, 'check');
  expect(await guesses.alarmed()).toBe(false);
  expect(counted.check).toBe(CHECK_GUESSES.free + 1);
});

test('where the ceiling cannot be asked, the attempt costs nothing', async () => {
  const clock = new FakeClock();
  const accepts = new MemoryPenalties(ACCEPT_GUESSES, clock, 10);
  const guesses: Guesses = createGuesses(
    {
      accepts,
      checks: accepts,
      creates: new MemoryQuota(1, clock, 1),
      failures: { reserve: () => Promise.reject(new Error('away')), read: async () => 0 },
    },
    1,
    clock,
    { failed() {}, refused() {} },
  );
  const attempt = {
    address: 'a',
    isGone: () => false,
    run: async () => true,
    hasFailed: () => false,
  };
  await expect(guesses.accept(attempt)).rejects.toThrow('away');
  expect(accepts.size).toBe(0);
});
