// Watches whether the servers of Redis refuse operations although they are connected: full, or without a disk to write to.
import type { Cancel, Clock } from './clock.js';
import { Unavailable } from './http-errors.js';
import type { Logger } from './logger.js';
import type { Redis, Refusal } from './redis.js';

/** While something is refused, Redis is asked again after so many milliseconds. */
const AGAIN_AFTER_MS = 1000;

export interface RedisRefusals {
  readonly causes: ReadonlySet<Refusal>;
  /** Takes note that an operation was refused. */
  noticed(cause: Refusal): void;
  /** Asks Redis. Rejects if it is away, or refuses more than what needs memory. */
  check(): Promise<void>;
  /** What GET /readyz adds while Redis is full. */
  note(): string | undefined;
  close(): void;
}

/** Asks when an operation was refused, and from then on until nothing is; logs each change once. */
export function watchRefusals(redis: Redis, clock: Clock, log: Logger): RedisRefusals {
  let causes: ReadonlySet<Refusal> = new Set();
  let asking: Promise<void> | undefined;
  let cancel: Cancel = () => {};
  let isClosed = false;

  const settle = (found: ReadonlySet<Refusal>) => {
    for (const cause of found) {
      if (causes.has(cause)) continue;
      if (cause === 'memory') log.warn('Redis is full: what needs memory is refused');
      else log.warn({ cause }, 'Redis refuses writes');
    }
    for (const cause of causes) {
      if (!found.has(cause)) log.info({ cause }, 'Redis takes writes again');
    }
    causes = found;
  };
  const ask = () => {
    asking ??= redis
      .refusals()
      .then(settle)
      .finally(() => {
        asking = undefined;
        cancel();
        if (causes.size > 0 && !isClosed) cancel = clock.after(AGAIN_AFTER_MS, tryAsk);
      });
    return asking;
  };
  // Redis being away is reported elsewhere.
  const tryAsk = () => void ask().catch(() => {});
  return {
    get causes() {
      return causes;
    },
    noticed(cause) {
      if (!causes.has(cause) && !isClosed) tryAsk();
    },
    async check() {
      await ask();
      const graver = [...causes].filter((cause) => cause !== 'memory');
      if (graver.length > 0) throw new Unavailable(new Error(`Redis refuses writes: ${graver}`));
    },
    note: () => (causes.has('memory') ? 'Redis is full: what needs memory is refused' : undefined),
    close() {
      isClosed = true;
      cancel();
    },
  };
}
