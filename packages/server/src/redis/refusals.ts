// Watches whether the servers of Redis refuse operations although they are connected: full, or without a disk to write to.
import type { Cancel, Clock } from '../base/clock.js';
import { Unavailable } from '../base/failures.js';
import type { Logger } from '../observability/logger.js';
import type { Redis, Refusal } from './client.js';

/** While something is refused, Redis is asked again after so many milliseconds. */
const AGAIN_AFTER_MS = 1000;

/** At its limit, Redis is full and not full many times a second: so long after the last refusal it counts as full. */
const FULL_FOR_MS = 5000;

export interface RedisRefusals {
  has(cause: Refusal): boolean;
  /** Takes note that an operation was refused. */
  noticed(cause: Refusal): void;
  /** Asks Redis. Rejects if it is away, or refuses more than what needs memory. */
  check(): Promise<void>;
  /** What GET /readyz adds while Redis is full. */
  note(): string | undefined;
  close(): void;
}

/** Asks once an operation was refused, and from then on until none is; logs each change once. */
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
      if (cause === 'memory') log.warn('Redis is full: what needs memory is refused');
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
      // Redis being away is reported elsewhere.
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
      refusedAt.has('memory') ? 'Redis is full: what needs memory is refused' : undefined,
    close() {
      isClosed = true;
      cancel?.();
    },
  };
}
