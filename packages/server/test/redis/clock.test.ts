// A node reports once that its clock differs from that of Redis, and once that it agrees again.
import { describeWith } from '@couplet/testkit/components';
import { startRedis } from '@couplet/testkit/redis-servers';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { watchRedisClock } from '../../src/redis/clock.js';
import { captureLog } from '../support/captured-log.js';
import { openRedis } from '../support/redis-stores.js';

describeWith(['redis-server'], 'the clock of Redis', () => {
  test('a difference of more than a second is measured, logged once, and noted', async () => {
    const server = await startRedis();
    onTestFinished(() => server.dispose());
    let offMs = 0;
    const clock = { ...systemClock, now: () => Date.now() + offMs };
    const { log, lines } = captureLog();
    const watch = watchRedisClock(await openRedis(server.url), 'any', clock, log);
    onTestFinished(watch.close);
    for (const seconds of [0, 30, -30, 0]) {
      offMs = seconds * 1000;
      await watch.measure();
      expect(Math.abs(watch.aheadSeconds() - seconds)).toBeLessThan(5);
      expect(watch.note() !== undefined).toBe(seconds !== 0);
    }
    expect(lines().map(({ level, msg }) => `${level} ${msg}`)).toEqual([
      '40 clock differs from that of Redis by more than a second',
      '30 clock agrees with that of Redis again',
    ]);
  });
});
