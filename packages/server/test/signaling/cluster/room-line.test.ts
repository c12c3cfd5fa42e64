import { expect, test } from 'vitest';
import { Unavailable } from '../../../src/platform/http-errors.js';
import { RoomLine } from '../../../src/signaling/cluster/room-line.js';

const oneTurn = () => new Promise<void>((resolve) => setImmediate(resolve));

test('a task that throws at once is reported, and those after it run', async () => {
  const errors: unknown[] = [];
  const line = new RoomLine(
    () => {},
    (error) => errors.push(error),
  );
  const fault = new TypeError('a fault of ours');
  line.push(() => {
    throw fault;
  });
  const failed = line.run(() => {
    throw fault;
  });
  await expect(failed).rejects.toBe(fault);
  expect(await line.run(async () => 'next')).toBe('next');
  await line.idle();
  expect(errors).toEqual([fault]);
  expect(line.busy).toBe(false);
});

test('beyond its bound a task is refused as unavailable, and one that must run is not', async () => {
  const line = new RoomLine(
    () => {},
    () => {},
  );
  let open: () => void = () => {};
  line.push(() => new Promise<void>((resolve) => (open = resolve)));
  let taken = 0;
  while (line.push(() => {})) taken += 1;
  expect(taken).toBe(2000);
  await expect(line.run(oneTurn)).rejects.toBeInstanceOf(Unavailable);
  const departed = line.mustRun(async () => 'departed');
  open();
  expect(await departed).toBe('departed');
});
