// Watches whether connected servers of Redis refuse operations, for example because memory or disk is full.
import type { Cancel, Clock } from '../base/clock.js';
import { Unavailable } from '../base/failures.js';
import type { Logger } from '../observability/logger.js';
import type { Redis, Refusal } from './client.js';

/** Pause between checks while operations are refused. */
const AGAIN_AFTER_MS = 1000;

/** Time after the last refusal during which Redis counts as full, because at its limit the state changes many times a second. */
const FULL_FOR_MS = 5000;

export interface RedisRefusals {
  has(cause: Refusal): boolean;
  /** Records a refused operation. */
  noticed(cause: Refusal): void;
  /** Asks Redis. Rejects if it is unreachable, or refuses more than operations that need memory. */
  check(): Promise<void>;
  /** The note in GET /readyz while Redis is full. */
  note(): string | undefined;
  close(): void;
}

/** Asks Redis after a refusal until nothing is refused; logs each change once. */
export function watchRefusals(
  redis: Pick<Redis, 'refusals'>,
  clock: Clock,
  log: Logger,
): RedisRefusals {
  /** The causes, each with the time of the last refusal. */
  const refusedAt = new Map<Refusal, number>();
  let cancel: Cancel | undefined;
  let isClosed = false;

  const refused = (cause: Refusal) => {
    if (!refusedAt.has(cause)) {
      if (cause === 'memory') log.warn('Redis is full: operations that need memory are refused');
      else log.warn({ cause }, 'Redis refuses writes');
    }
    refusedAt.set(cause, clock.monotonic());
  };
  const ask = async () => {
    const found = await redis.refusals();
    for (const cause of found) refused(cause);
    for (const [cause, at] of refusedAt) {
      const wasJustNow = cause === 'memory' && clock.monotonic() - at < FULL_FOR_MS;
      if (found.has(cause) || wasJustNow) continue;
      refusedAt.delete(cause);
      log.info({ cause }, 'Redis takes writes again');
    }
  };
  const askLater = () => {
    if (refusedAt.size === 0 || isClosed) return;
    cancel ??= clock.after(AGAIN_AFTER_MS, () => {
      cancel = undefined;
      // The connection reports outages of Redis.
      void ask()
        .catch(() => {})
        .finally(askLater);
    });
  };
  return {
    has: (cause) => refusedAt.has(cause),
    noticed(cause) {
      refused(cause);
      askLater();
    },
    async check() {
      await ask();
      askLater();
      const graver = [...refusedAt.keys()].filter((cause) => cause !== 'memory');
      if (graver.length > 0) throw new Unavailable(new Error(`Redis refuses writes: ${graver}`));
    },
    note: () =>
      refusedAt.has('memory')
        ? 'Redis is full: operations that need memory are refused'
        : undefined,
    close() {
      isClosed = true;
      cancel?.();
    },
  };
}
