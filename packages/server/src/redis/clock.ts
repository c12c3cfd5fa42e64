// Compares the wall clock of this node with that of Redis, which decides the expiry of join codes and leases.
import type { Clock } from '../base/clock.js';
import type { Logger } from '../observability/logger.js';
import type { Redis } from './client.js';

/** A difference beyond this is reported, in milliseconds. */
const TOLERANCE_MS = 1000;

const PERIOD_MS = 60_000;

/** Measures every minute, and at every new connection to Redis. */
export function watchRedisClock(redis: Redis, key: string, clock: Clock, log: Logger) {
  let aheadSeconds = 0;
  let isOff = false;
  const measure = async () => {
    const [asked, start] = [clock.now(), clock.monotonic()];
    const [seconds, microseconds] = (await redis.command(key, ['TIME'])) as [string, string];
    // Redis read its clock at an unknown time between the request and the answer.
    const halfMs = (clock.monotonic() - start) / 2;
    const aheadMs = asked + halfMs - (Number(seconds) * 1000 + Number(microseconds) / 1000);
    aheadSeconds = Math.round(aheadMs) / 1000;
    const wasOff = isOff;
    isOff = Math.abs(aheadMs) - halfMs > TOLERANCE_MS;
    if (isOff === wasOff) return;
    if (isOff) log.warn({ aheadSeconds }, 'clock differs from that of Redis by more than a second');
    else log.info({ aheadSeconds }, 'clock agrees with that of Redis again');
  };
  // The connection reports outages of Redis.
  const tryMeasure = () => void measure().catch(() => {});
  redis.onUp(tryMeasure);
  return {
    /** Seconds by which this node is ahead of Redis; 0 before the first measurement. */
    aheadSeconds: () => aheadSeconds,

    /** The note in GET /readyz while the clocks differ by more than a second. */
    note: () => (isOff ? 'the clock differs from that of Redis by more than a second' : undefined),

    measure,
    close: clock.every(PERIOD_MS, tryMeasure),
  };
}
