// Held checks sleep until their code changes or their time is up.

import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import { Waiting } from '../../src/pairing/waiting.js';

const never = new AbortController().signal;

function waitingWith(capacity = 10) {
  const clock = new FakeClock();
  const waiting = new Waiting(clock, capacity);
  const woken: string[] = [];
  const sleep = (name: string, code: string, forMs: number, signal = never) => {
    const watch = waiting.watch(code);
    return watch.sleep(clock.now() + forMs, signal).then(() => {
      watch.end();
      woken.push(name);
    });
  };
  return { clock, waiting, woken, sleep };
}

test('a sleep ends when its time is up, and its timer is removed', async () => {
  const { clock, waiting, sleep } = waitingWith();
  const done = sleep('a', '1', 1000);
  expect([waiting.size, clock.pending]).toEqual([1, 1]);
  clock.advance(1000);
  await done;
  expect([waiting.size, clock.pending]).toEqual([0, 0]);
});

test('a sleep until a past time ends at once', async () => {
  const { clock, sleep } = waitingWith();
  const done = sleep('a', '1', -5);
  clock.advance(0);
  await done;
});

test('a change wakes every check of that code and no other', async () => {
  const { clock, waiting, woken, sleep } = waitingWith();
  const done = [sleep('a', '1', 1000), sleep('b', '1', 1000)];
  const other = sleep('c', '2', 1000);
  waiting.wake('1');
  waiting.wake('3');
  await Promise.all(done);
  expect(woken).toEqual(['a', 'b']);
  expect([waiting.size, clock.pending]).toEqual([1, 1]);
  clock.advance(1000);
  await other;
});

test('a change between watch and sleep is not missed', async () => {
  const { clock, waiting } = waitingWith();
  const watch = waiting.watch('1');
  waiting.wake('1');
  await watch.sleep(clock.now() + 1000, never);
  expect(clock.pending).toBe(0);
  watch.end();
  watch.end();
  expect(waiting.size).toBe(0);
});

test('an abort ends a sleep, and prevents one that has not begun', async () => {
  const { clock, sleep, waiting } = waitingWith();
  await sleep('a', '1', 1000, AbortSignal.abort());
  const gone = new AbortController();
  const done = sleep('b', '1', 1000, gone.signal);
  gone.abort();
  await done;
  expect([waiting.size, clock.pending]).toEqual([0, 0]);
});

test('more checks may be held until the capacity is reached', async () => {
  const { clock, waiting, sleep } = waitingWith(2);
  const done = [sleep('a', '1', 1000), sleep('b', '2', 1000)];
  expect(waiting.mayWatch('3')).toBe(false);
  clock.advance(1000);
  await Promise.all(done);
  expect(waiting.mayWatch('3')).toBe(true);
  expect(new Waiting(clock, 0).mayWatch('3')).toBe(false);
});

test('one code has at most eight held checks, and leaves the rest of the capacity to others', async () => {
  const { clock, waiting, sleep } = waitingWith(100);
  const done = Array.from({ length: 8 }, (_, n) => sleep(String(n), '1', 1000));
  expect(waiting.mayWatch('1')).toBe(false);
  expect(waiting.mayWatch('2')).toBe(true);
  clock.advance(1000);
  await Promise.all(done);
  expect(waiting.mayWatch('1')).toBe(true);
});

test('close wakes all checks, and later sleeps end at once', async () => {
  const { clock, waiting, sleep } = waitingWith();
  const done = [sleep('a', '1', 1000), sleep('b', '2', 1000)];
  waiting.close();
  await Promise.all(done);
  expect(waiting.mayWatch('3')).toBe(false);
  await sleep('c', '3', 1000);
  expect(clock.pending).toBe(0);
});
