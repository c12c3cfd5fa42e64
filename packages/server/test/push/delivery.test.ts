// Delivery to one push service: its bounds, its attempts and its circuit, with a service that the test answers for.
import { FakeClock } from '@couplet/testkit/fake-clock';
import { expect, test } from 'vitest';
import {
  ATTEMPT_MS,
  type Attempt,
  Delivery,
  MAX_FAILURES,
  MAX_RUNNING,
  MAX_UNSETTLED,
  OPEN_MS,
} from '../../src/push/delivery.js';
import { captureLog } from '../support/captured-log.js';

const SENT: Attempt = { kind: 'sent' };
const BROKEN: Attempt = { kind: 'failed', cause: 'server_error' };

function open() {
  const clock = new FakeClock();
  const log = captureLog();
  const ends: string[] = [];
  const meter = (end: string) => ends.push(end);
  const delivery = new Delivery({ service: 'apns', clock, log: log.log, meter });
  /** Requests that wait for an answer, in order. */
  const requests: { answer: (attempt: Attempt) => void }[] = [];
  const run = () =>
    delivery.run(
      (signal) =>
        new Promise((answer, reject) => {
          requests.push({ answer });
          signal.addEventListener('abort', reject, { once: true });
        }),
    );
  const fail = async (times: number) => {
    for (let n = 0; n < times; n++) await delivery.run(async () => BROKEN);
  };
  const warnings = () => log.lines().filter(({ level }) => level > 20);
  return { clock, ends, delivery, requests, run, fail, warnings };
}

/** Lets all promises that can settle do so. */
const settled = () => new Promise<void>((resolve) => setImmediate(resolve));

test('a bounded number of requests runs at once, others wait in order, and further ones are dropped', async () => {
  const { run, requests, ends } = open();
  const outcomes = Array.from({ length: MAX_UNSETTLED }, run);
  expect(await run()).toEqual({ kind: 'dropped' });
  expect(ends).toEqual(['queue_full']);
  expect(requests).toHaveLength(MAX_RUNNING);
  for (let n = 0; n < MAX_UNSETTLED; n++) {
    requests[n]?.answer(SENT);
    await outcomes[n];
    expect(requests.length).toBeLessThanOrEqual(MAX_RUNNING + n + 1);
    await settled();
  }
  expect(ends.filter((end) => end === 'sent')).toHaveLength(MAX_UNSETTLED);
});

test('while a service hangs, all notifications end within the time limit of one request', async () => {
  const { clock, run, ends } = open();
  const outcomes = Array.from({ length: MAX_UNSETTLED }, run);
  clock.advance(ATTEMPT_MS);
  await Promise.all(outcomes);
  expect(ends.filter((end) => end === 'timeout')).toHaveLength(MAX_RUNNING);
  expect(ends.filter((end) => end === 'circuit_open')).toHaveLength(MAX_UNSETTLED - MAX_RUNNING);
  expect(clock.pending).toBe(0);
});

test('after failures in a row, nothing is sent for a while; then one notification tests the service', async () => {
  const { clock, delivery, run, requests, fail, ends, warnings } = open();
  await fail(MAX_FAILURES - 1);
  await delivery.run(async () => SENT);
  await fail(MAX_FAILURES);
  expect(await run()).toEqual({ kind: 'dropped' });
  clock.advance(OPEN_MS);
  const trial = run();
  expect(await run()).toEqual({ kind: 'dropped' });
  requests[0]?.answer(BROKEN);
  expect(await trial).toEqual({ kind: 'failed' });
  expect(await run()).toEqual({ kind: 'dropped' });
  clock.advance(OPEN_MS);
  const second = run();
  requests[1]?.answer(SENT);
  expect(await second).toEqual({ kind: 'sent' });
  await fail(1);
  const usual = run();
  requests[2]?.answer(SENT);
  expect(await usual).toEqual({ kind: 'sent' });
  expect(ends.filter((end) => end === 'circuit_open')).toHaveLength(3);
  expect(warnings().map(({ msg, service, cause }) => [msg, service, cause])).toEqual([
    ['push service fails: notifications are dropped', 'apns', 'server_error'],
    ['push service works again', 'apns', undefined],
  ]);
});

test.each(['busy', 'rejected', 'host_not_allowed'] as const)(
  'failures that concern one device only (%s) do not stop the others',
  async (cause) => {
    const { delivery } = open();
    for (let n = 0; n < MAX_FAILURES; n++) {
      await delivery.run(async () => ({ kind: 'failed', cause }));
    }
    expect(await delivery.run(async () => SENT)).toEqual({ kind: 'sent' });
  },
);

test('there are at most three attempts, and none after a pause of more than a minute', async () => {
  const { clock, delivery, ends } = open();
  let attempts = 0;
  const later = (afterMs?: number) => async (): Promise<Attempt> => {
    attempts += 1;
    return { kind: 'later', cause: 'busy', afterMs };
  };
  expect(await delivery.run(later(60_001))).toEqual({ kind: 'failed' });
  expect(attempts).toBe(1);
  const outcome = delivery.run(later());
  for (const [count, pauseMs] of [
    [2, 1000],
    [3, 4000],
  ] as const) {
    await settled();
    expect(attempts).toBe(count);
    clock.advance(pauseMs - 1);
    await settled();
    expect(attempts).toBe(count);
    clock.advance(1);
  }
  expect(await outcome).toEqual({ kind: 'failed' });
  expect(attempts).toBe(4);
  expect(ends).toEqual(['busy', 'busy']);
});
