// Turns: bounded work by key, first in, first out.
import { expect, test } from 'vitest';
import { Turns } from '../../src/limits/in-flight.js';

const PRESENT = () => false;

/** What has been settled by now. */
async function settled(promises: Promise<boolean>[]): Promise<(boolean | undefined)[]> {
  const seen: (boolean | undefined)[] = promises.map(() => undefined);
  promises.forEach((promise, n) => {
    promise.then((isTurn) => {
      seen[n] = isTurn;
    });
  });
  await new Promise<void>((resolve) => setImmediate(resolve));
  return seen;
}

test('so many of a key go at once; the next go in their order as others leave; beyond the queue nobody waits', async () => {
  const turns = new Turns(2, 2);
  const asked = Array.from({ length: 5 }, () => turns.enter('a', PRESENT));
  expect(await settled(asked)).toEqual([true, true, undefined, undefined, false]);
  expect(await turns.enter('b', PRESENT)).toBe(true);
  turns.leave('a');
  expect(await settled(asked)).toEqual([true, true, true, undefined, false]);
  turns.leave('a');
  expect(await settled(asked)).toEqual([true, true, true, true, false]);
});

test('a client that hung up while it waited is passed over', async () => {
  const turns = new Turns(1, 10);
  const asked = [
    turns.enter('a', PRESENT),
    turns.enter('a', () => true),
    turns.enter('a', PRESENT),
  ];
  turns.leave('a');
  expect(await settled(asked)).toEqual([true, false, true]);
});

test('a turn that is given back comes again before those that wait, once somebody else has left', async () => {
  const turns = new Turns(2, 10);
  const asked = [turns.enter('a', PRESENT), turns.enter('a', PRESENT), turns.enter('a', PRESENT)];
  const again = turns.again('a', PRESENT);
  expect(turns.isAlone('a')).toBe(true);
  expect(await settled([...asked, again])).toEqual([true, true, undefined, undefined]);
  // A place is free, but it is not for one that comes late.
  const late = turns.enter('a', PRESENT);
  turns.leave('a');
  expect(await settled([...asked, again, late])).toEqual([true, true, true, true, undefined]);
});

test('a key without work is not kept', async () => {
  const turns = new Turns(1, 10);
  await turns.enter('a', PRESENT);
  const gone = turns.enter('a', () => true);
  turns.leave('a');
  await gone;
  expect(turns.size).toBe(0);
});
