// Delivers notifications to one push service: bounds what waits, limits the time, repeats if the service asks for it, and stops while it keeps failing.
import type { Cancel, Clock } from '../base/clock.js';
import { Turns } from '../limits/turns.js';
import type { Logger } from '../observability/logger.js';
import type { PushOutcome } from './notifier.js';

/** Why a notification was not sent. */
const CAUSES = [
  'timeout',
  /** No connection, or it ended before the answer. */
  'unreachable',
  /** 5xx. */
  'server_error',
  /** 429. */
  'busy',
  /** The service does not accept the credentials of this server. */
  'credentials',
  /** The service does not accept the notification, for another reason than a dead token. */
  'rejected',
  /** The subscription is at a host that WEB_PUSH_HOSTS does not allow. */
  'host_not_allowed',
  /** The host of the subscription does not exist. */
  'unknown_host',
] as const;

type Cause = (typeof CAUSES)[number];

/** How a notification can end. The last two: it was dropped without a request. */
export const ENDS = ['sent', 'dead', ...CAUSES, 'queue_full', 'circuit_open'] as const;
export type End = (typeof ENDS)[number];

/** The answer of a push service to one request. */
export type Attempt =
  | { kind: 'sent' }
  | { kind: 'dead' }
  | { kind: 'failed'; cause: Cause }
  /** The service may accept the same notification later: after `afterMs`, if it has named a time. */
  | { kind: 'later'; cause: Cause; afterMs: number | undefined };

/** Sends one request; settles soon after its signal is aborted. */
type Send = (signal: AbortSignal) => Promise<Attempt>;

/** Counts the end of a notification. */
export type Meter = (end: End, seconds: number) => void;

export interface DeliveryDeps {
  service: string;
  clock: Clock;
  log: Logger;
  meter: Meter;
}

/** Time limit of one request. */
export const ATTEMPT_MS = 10_000;

/** Requests at the same time. */
export const MAX_RUNNING = 32;

/** Notifications that wait or run; further ones are dropped. */
export const MAX_UNSETTLED = 1000;

const MAX_ATTEMPTS = 3;

/** Pause before the second and third attempt if the service names none. */
const BACKOFF_MS = [1000, 4000];

/** A service that asks for a longer pause gets no further attempt: the notification would come too late. */
const MAX_PAUSE_MS = 60_000;

/** Failures in a row after which nothing is sent for {@link OPEN_MS}. Then one notification is tried. */
export const MAX_FAILURES = 5;
export const OPEN_MS = 30_000;

/** Causes that concern all notifications of a service, not only one device. */
const OF_SERVICE: readonly Cause[] = ['timeout', 'unreachable', 'server_error', 'credentials'];

export class Delivery {
  readonly #deps: DeliveryDeps;
  #unsettled = 0;
  readonly #turns = new Turns(() => MAX_RUNNING, MAX_UNSETTLED);
  /** End the timers and requests in progress, at close. */
  readonly #ends = new Set<() => void>();
  #failures = 0;
  #openUntil = 0;
  #isClosed = false;

  constructor(deps: DeliveryDeps) {
    this.#deps = deps;
  }

  /** Whether no notification waits or runs. */
  get isIdle(): boolean {
    return this.#unsettled === 0;
  }

  /**
   * Sends one notification. Never rejects.
   *
   * @param isNeeded - called before each attempt
   */
  async run(send: Send, isNeeded: () => boolean = () => true): Promise<PushOutcome> {
    const { clock, meter } = this.#deps;
    const start = clock.monotonic();
    if (this.#unsettled >= MAX_UNSETTLED) {
      meter('queue_full', 0);
      return { kind: 'dropped' };
    }
    this.#unsettled += 1;
    const attempt = await this.#attempts(send, isNeeded);
    this.#unsettled -= 1;
    if (attempt === undefined) return { kind: 'dropped' };
    meter('cause' in attempt ? attempt.cause : attempt.kind, (clock.monotonic() - start) / 1000);
    if (attempt.kind === 'circuit_open') return { kind: 'dropped' };
    return { kind: 'cause' in attempt ? 'failed' : attempt.kind };
  }

  /** Ends all notifications. */
  close(): void {
    this.#isClosed = true;
    for (const end of this.#ends) end();
  }

  /** Resolves to undefined if the notification is no longer needed, or at close. */
  async #attempts(send: Send, isNeeded: () => boolean) {
    for (let count = 1; ; count++) {
      const attempt = await this.#next(send, isNeeded);
      if (attempt?.kind !== 'later') return attempt;
      const pauseMs = attempt.afterMs ?? BACKOFF_MS[count - 1] ?? 0;
      if (count === MAX_ATTEMPTS || pauseMs > MAX_PAUSE_MS) return attempt;
      await this.#pause(pauseMs);
    }
  }

  /** Waits for its turn, and tries once. */
  async #next(send: Send, isNeeded: () => boolean) {
    const entered = this.#turns.enter('', () => this.#isClosed);
    if (!(entered === true || (await entered))) return undefined;
    try {
      if (this.#isClosed || !isNeeded()) return undefined;
      if (!this.#mayTry()) return { kind: 'circuit_open' as const };
      const attempt = await this.#try(send);
      if (attempt !== undefined) this.#judge(attempt);
      return attempt;
    } finally {
      this.#turns.leave('');
    }
  }

  async #try(send: Send): Promise<Attempt | undefined> {
    const { clock, log, service } = this.#deps;
    const limit = new AbortController();
    const end = () => limit.abort();
    const cancel = clock.after(ATTEMPT_MS, end);
    this.#ends.add(end);
    try {
      return await send(limit.signal);
    } catch (error) {
      if (this.#isClosed) return undefined;
      if (limit.signal.aborted) return { kind: 'failed', cause: 'timeout' };
      const { code } = error as { code?: unknown };
      // Only the code: the message may have an address.
      log.debug({ service, code }, 'push service not reached');
      return { kind: 'failed', cause: 'unreachable' };
    } finally {
      cancel();
      this.#ends.delete(end);
    }
  }

  /** Whether the circuit is closed, or this notification is the one that tests it. */
  #mayTry(): boolean {
    if (this.#failures < MAX_FAILURES) return true;
    const now = this.#deps.clock.monotonic();
    if (now < this.#openUntil) return false;
    this.#openUntil = now + OPEN_MS;
    return true;
  }

  #judge(attempt: Attempt): void {
    const { clock, log, service } = this.#deps;
    const wasOpen = this.#failures >= MAX_FAILURES;
    if ('cause' in attempt && OF_SERVICE.includes(attempt.cause)) {
      const { cause } = attempt;
      this.#failures += 1;
      if (this.#failures < MAX_FAILURES) return;
      this.#openUntil = clock.monotonic() + OPEN_MS;
      if (!wasOpen) log.warn({ service, cause }, 'push service fails: notifications are dropped');
      return;
    }
    this.#failures = 0;
    if (wasOpen) log.info({ service }, 'push service works again');
  }

  /** Resolves after a time, or at close. */
  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      let cancel: Cancel = () => {};
      const end = () => {
        cancel();
        this.#ends.delete(end);
        resolve();
      };
      this.#ends.add(end);
      cancel = this.#deps.clock.after(ms, end);
    });
  }
}

/** The pause that an answer asks for (RFC 9110 §10.2.3), in milliseconds. */
export function retryAfterMs(value: unknown, now: number): number | undefined {
  if (typeof value !== 'string') return undefined;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1000;
  const time = Date.parse(value);
  return Number.isNaN(time) ? undefined : Math.max(0, time - now);
}

/** The attempt for a status that means the same at all push services, or undefined. */
export function attemptOfStatus(
  status: number,
  retryAfter: unknown,
  now: number,
): Attempt | undefined {
  if (status >= 200 && status < 300) return { kind: 'sent' };
  const afterMs = retryAfterMs(retryAfter, now);
  if (status === 429) return { kind: 'later', cause: 'busy', afterMs };
  if (status >= 500) return { kind: 'later', cause: 'server_error', afterMs };
  return undefined;
}

/** The attempt for any other status of a faulty notification. */
export const REJECTED: Attempt = { kind: 'failed', cause: 'rejected' };
