// The tasks of a room.
import { expect, test } from 'vitest';
import { Unavailable } from '../../../src/base/failures.js';
import { SerialQueue } from '../../../src/signaling/cluster/serial-queue.js';

test('a task that throws synchronously ends with its error, and later tasks run', async () => {
  const errors: unknown[] = [];
  const queue = new SerialQueue(
    () => {},
    (error) => errors.push(error),
  );
  const fault = new TypeError('a fault of ours');
  const fail = () => {
    throw fault;
  };
  queue.push(fail);
  await expect(queue.run(fail)).rejects.toBe(fault);
  expect(await queue.run(async () => 'next')).toBe('next');
  expect(errors).toEqual([fault]);
});

test('of the tasks behind a running one, 2000 wait, further ones are refused, and departures always wait', async () => {
  const queue = new SerialQueue(
    () => {},
    () => {},
  );
  let end = () => {};
  const running = new Promise<void>((resolve) => {
    end = resolve;
  });
  queue.push(() => running);
  let ran = 0;
  const task = () => {
    ran += 1;
  };
  for (let n = 0; n < 2000; n++) expect(queue.push(task)).toBe(true);
  expect(queue.push(task)).toBe(false);
  await expect(queue.run(async () => {})).rejects.toThrow(Unavailable);
  expect(queue.push(task, false)).toBe(true);
  end();
  await queue.run(async () => {}, false);
  expect(ran).toBe(2001);
});
