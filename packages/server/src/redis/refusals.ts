// Watches whether connected servers of Redis refuse operations, for example because memory or disk is full.
import type { Clock } from '../base/clock.js';
import { Unavailable } from '../base/failures.js';
import type { Logger } from '../observability/logger.js';
import type { Redis, Refusal } from './client.js';

/** Period of checks while operations are refused. */
const PERIOD_MS = 1000;

/** Time after the last refusal during which Redis counts as full, because at its limit the state changes many times a second. */
const FULL_FOR_MS = 5000;

/** Asks Redis after a refusal until nothing is refused; logs each change once. */
export function watchRefusals(redis: Pick<Redis, 'probe'>, clock: Clock, log: Logger) {
  /** The causes, each with the time of the last refusal. */
  const refusedAt = new Map<Refusal, number>();

  const ask = async () => {
    const start = clock.monotonic();
    await redis.probe();
    for (const [cause, at] of refusedAt) {
      if (at >= (cause === 'memory' ? clock.monotonic() - FULL_FOR_MS : start)) continue;
      refusedAt.delete(cause);
      log.info({ cause }, 'Redis takes writes again');
    }
  };
  return {
    has: (cause: Refusal): boolean => refusedAt.has(cause),

    /** Records a refused operation. */
    noticed(cause: Refusal): void {
      const isKnown = refusedAt.has(cause);
      refusedAt.set(cause, clock.monotonic());
      if (isKnown) return;
      if (cause === 'memory') log.warn('Redis is full: operations that need memory are refused');
      else log.warn({ cause }, 'Redis refuses writes');
    },

    /** Asks Redis. Rejects if it is unreachable, or refuses more than operations that need memory. */
    async check(): Promise<void> {
      await ask();
      const graver = [...refusedAt.keys()].filter((cause) => cause !== 'memory');
      if (graver.length > 0) throw new Unavailable(new Error(`Redis refuses writes: ${graver}`));
    },

    /** The note in GET /readyz while Redis is full. */
    note: () =>
      refusedAt.has('memory')
        ? 'Redis is full: operations that need memory are refused'
        : undefined,

    // The connection reports outages of Redis.
    close: clock.every(PERIOD_MS, () => void (refusedAt.size > 0 && ask().catch(() => {}))),
  };
}
