import { expect, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { SerialQueue } from '../../../src/signaling/cluster/serial-queue.js';

const oneTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('a task that throws synchronously is reported, and later tasks run', async () => {
  const errors: unknown[] = [];
  const queue = new SerialQueue(
    () => {},
    (error) => errors.push(error),
  );
  const fault = new TypeError('a fault of ours');
  queue.push(() => {
    throw fault;
  });
  const failed = queue.run(() => {
    throw fault;
  });
  await expect(failed).rejects.toBe(fault);
  expect(await queue.run(async () => 'next')).toBe('next');
  await oneTurn();
  expect(errors).toEqual([fault]);
  expect(queue.busy).toBe(false);
});

test('beyond the bound `run` rejects with Unavailable, unless the task is unbounded', async () => {
  const queue = new SerialQueue(
    () => {},
    () => {},
  );
  let open: () => void = () => {};
  queue.push(() => new Promise<void>((resolve) => (open = resolve)));
  let taken = 0;
  while (queue.push(() => {})) taken += 1;
  expect(taken).toBe(2000);
  await expect(queue.run(oneTurn)).rejects.toBeInstanceOf(Unavailable);
  const departed = queue.run(async () => 'departed', false);
  open();
  expect(await departed).toBe('departed');
});
