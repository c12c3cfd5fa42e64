// Errors of the tasks of a room. A story of the record store covers their number.
import { expect, test } from 'vitest';
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
