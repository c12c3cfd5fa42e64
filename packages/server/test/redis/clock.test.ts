// A node reports once that its clock differs from that of Redis, and once that it agrees again.

import { describeWith } from '@couplet/testkit/components';
import { type RedisServer, startRedis } from '@couplet/testkit/redis-servers';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import type { Logger } from '../../src/observability/logger.js';
import { watchRedisClock } from '../../src/redis/clock.js';
import { openRedis } from '../support/redis-stores.js';

describeWith(['redis-server'], 'the clock of Redis', () => {
  let server: RedisServer;
  beforeAll(async () => {
    server = await startRedis();
  });
  afterAll(() => server?.dispose());

  test('a difference of more than a second is measured, logged once, and noted', async () => {
    let offMs = 0;
    const clock = { ...systemClock, now: () => Date.now() + offMs };
    const lines: string[] = [];
    const log = {
      warn: (_: object, line: string) => lines.push(`warn ${line}`),
      info: (_: object, line: string) => lines.push(`info ${line}`),
    } as unknown as Logger;
    const watch = watchRedisClock(await openRedis(server.url), 'any', clock, log);
    onTestFinished(watch.close);
    await watch.measure();
    expect(watch.note()).toBeUndefined();
    for (const seconds of [30, -30]) {
      offMs = seconds * 1000;
      await watch.measure();
      expect(Math.abs(watch.aheadSeconds() - seconds)).toBeLessThan(5);
      expect(watch.note()).toMatch(/clock differs/);
    }
    offMs = 0;
    await watch.measure();
    expect(watch.note()).toBeUndefined();
    expect(lines).toEqual([
      'warn clock differs from that of Redis by more than a second',
      'info clock agrees with that of Redis again',
    ]);
  });
});
