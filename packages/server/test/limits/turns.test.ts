// Turns: a bounded number of tasks per key, in FIFO order.
import { expect, test } from 'vitest';
import { Turns } from '../../src/limits/turns.js';

const PRESENT = () => false;

/** Returns the results that are settled. */
async function settled(asked: (boolean | Promise<boolean>)[]): Promise<(boolean | undefined)[]> {
  const seen: (boolean | undefined)[] = asked.map(() => undefined);
  asked.forEach((answer, n) => {
    Promise.resolve(answer).then((isTurn) => {
      seen[n] = isTurn;
    });
  });
  await new Promise<void>((resolve) => setImmediate(resolve));
  return seen;
}

test('the number of running tasks per key is bounded, waiting ones follow in order, and a full queue refuses further ones', async () => {
  const turns = new Turns(() => 2, 2);
  const asked = Array.from({ length: 5 }, () => turns.enter('a', PRESENT));
  expect(await settled(asked)).toEqual([true, true, undefined, undefined, false]);
  expect(await turns.enter('b', PRESENT)).toBe(true);
  turns.leave('a');
  expect(await settled(asked)).toEqual([true, true, true, undefined, false]);
  turns.leave('a');
  expect(await settled(asked)).toEqual([true, true, true, true, false]);
});

test('after the limit of a key has become lower, a waiting task begins only below the new limit', async () => {
  let most = 2;
  const turns = new Turns(() => most, 10);
  const asked = Array.from({ length: 4 }, () => turns.enter('a', PRESENT));
  most = 1;
  turns.leave('a');
  expect(await settled(asked)).toEqual([true, true, undefined, undefined]);
  turns.leave('a');
  expect(await settled(asked)).toEqual([true, true, true, undefined]);
});

test('a key without tasks is removed', async () => {
  const turns = new Turns(() => 1, 10);
  await turns.enter('a', PRESENT);
  const gone = turns.enter('a', () => true);
  turns.leave('a');
  await gone;
  expect(turns.size).toBe(0);
});
