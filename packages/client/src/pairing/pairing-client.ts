// Implements the REST requests of docs/protocol.md §3: create, accept, check and cancel, and any other with retries.
import { onAbort, throwIfAborted } from '../abort.js';
import { type Clock, sleep, systemClock } from '../clock.js';
import { type Answer, answerError, CoupletError, type CoupletErrorCode } from '../errors.js';
import { parsed } from '../json.js';
import { LONGEST_DELAY_MS, reconnectDelayMs } from '../reconnect-policy.js';

/** The part of the `fetch` API that the client uses. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The secret of a device in a pairing. Undefined if the server's version has no secrets; then none is sent. */
export type Secret = string | undefined;

export interface PairingClientOptions {
  /** The address of the server: `https://host`. */
  url: string;
  fetch: Fetch;
  clock?: Clock;
  random?: () => number;
}

/** Attempts per request before it fails. */
const MAX_ATTEMPTS = 6;

/** Attempts if something other than a Couplet server answers, such as a proxy during a deployment, or a login page. */
const MAX_FOREIGN_ANSWERS = 3;

/** How long the server may hold a check. Below the limit of the protocol, and below the timeouts of common proxies. */
const WAIT_SECONDS = 25;

/** Time allowed for an answer, on top of `WAIT_SECONDS` for a check. Detects dead connections. */
const ANSWER_WITHIN_MS = 15_000;

/** Pause after a check that the server answered at once. Some proxies do not forward `Prefer`. */
const PAUSE_BETWEEN_CHECKS_MS = 2000;

/**
 * After a code has expired, failed checks are retried for `GRACE_MS`, and until `MIN_LATE_FAILURES` have failed. A device
 * that was asleep has not sent requests for a while, and its network needs time to reconnect.
 */
const GRACE_MS = 20_000;
const MIN_LATE_FAILURES = 3;

/** Limits during the grace period: of one attempt, and of the pause before the next. */
const LATE_ATTEMPT_MS = 5000;
const LATE_DELAY_MS = 3000;

interface RequestOptions<Result> {
  /** Extracts the result from a success; returns undefined if the answer is not of the protocol. Defaults to its JSON. */
  read?: (answer: Answer) => Result | undefined;
  signal?: AbortSignal | undefined;
  /**
   * If given, the server holds the answer, and retries continue until shortly after that time. Without it, a person is
   * waiting, and the request fails sooner.
   */
  expiresMs?: number;
  /** Whether the first attempt continues when the page unloads. */
  keepalive?: boolean;
  /** Defaults to POST. */
  method?: string;
}

export class PairingClient {
  readonly #options: Required<PairingClientOptions>;

  constructor(options: PairingClientOptions) {
    this.#options = { clock: systemClock, random: Math.random, ...options };
  }

  /** Creates a join code. Resolves to the monotonic time at which it expires, and to the secret of the device. */
  async create(
    joinCode: string,
    expiresInSeconds: number,
    deviceId: string,
    signal?: AbortSignal,
  ): Promise<{ expiresMs: number; secret: Secret }> {
    const body = { joinid: joinCode, expiresInSeconds, client1: deviceId };
    // Counted from the time of the request. `exp` in the answer uses the server's clock, and the answer may be a replay.
    const createdMs = this.#options.clock.monotonic();
    const read = ({ body }: Answer) => withText(body, 'exp');
    const { secret } = await this.request('/api/rooms', body, { read, signal });
    return { expiresMs: createdMs + expiresInSeconds * 1000, secret };
  }

  /** Accepts a join code. Resolves to the id of the room, and to the secret of the device. */
  async accept(
    joinCode: string,
    deviceId: string,
    signal?: AbortSignal,
  ): Promise<{ roomId: string; secret: Secret }> {
    const body = { joinid: joinCode, client2: deviceId };
    const read = ({ body }: Answer) => withText(body, 'roomid');
    const { roomid, secret } = await this.request('/api/rooms/accept', body, { read, signal });
    return { roomId: roomid, secret };
  }

  /**
   * Waits until the code is accepted, and retries during outages until shortly after it expires. Resolves to the room id.
   *
   * @param expiresMs the monotonic time that `create` resolved to
   */
  async check(
    joinCode: string,
    deviceId: string,
    expiresMs: number,
    signal?: AbortSignal,
    secret?: Secret,
  ): Promise<string> {
    const body = { joinid: joinCode, client1: deviceId, secret };
    const { clock } = this.#options;
    const read = ({ status, body }: Answer) => status === 204 || withText(body, 'roomid')?.roomid;
    for (;;) {
      const askedMs = clock.monotonic();
      // Each check uses its own key. With the same key, the server would replay its answer "not accepted yet".
      const roomId = await this.request('/api/rooms/check', body, { read, signal, expiresMs });
      if (roomId !== true) return roomId;
      const nowMs = clock.monotonic();
      // After the code has expired, a Couplet server answers 404. This 204 came from something else.
      if (nowMs >= expiresMs + GRACE_MS) throw answerError({ status: 204 });
      if (nowMs - askedMs < PAUSE_BETWEEN_CHECKS_MS) {
        await sleep(clock, PAUSE_BETWEEN_CHECKS_MS, signal);
      }
    }
  }

  /**
   * Deletes a code that was not accepted. Runs in the background, also while the page unloads. Failures are ignored:
   * older servers lack this endpoint, and the code expires anyway.
   */
  cancel(joinCode: string, deviceId: string, secret?: Secret): void {
    const body = { joinid: joinCode, client1: deviceId, secret };
    this.request('/api/rooms/cancel', body, { keepalive: true }).catch(() => {});
  }

  /**
   * Sends one logical request, and retries it under the same Idempotency-Key.
   */
  async request<Result>(
    path: string,
    body: object | undefined,
    {
      read = ({ body }) => body as Result | undefined,
      signal,
      expiresMs,
      keepalive = false,
      method = 'POST',
    }: RequestOptions<Result>,
  ): Promise<Result> {
    const { url, clock, random } = this.#options;
    const waiting = expiresMs !== undefined;
    const headers = {
      'Content-Type': 'application/json',
      'Idempotency-Key': randomId(),
      ...(waiting && { Prefer: `wait=${WAIT_SECONDS}` }),
    };
    let waitedMs = 0;
    let lateFailures = 0;
    for (let attempt = 0; ; attempt++) {
      const leftMs = waiting ? Math.max(0, expiresMs - clock.monotonic()) : 0;
      const withinMs = waiting
        ? Math.min(WAIT_SECONDS * 1000 + ANSWER_WITHIN_MS, leftMs + LATE_ATTEMPT_MS)
        : ANSWER_WITHIN_MS;
      let failure: CoupletError;
      let attempts = MAX_ATTEMPTS;
      try {
        const init = {
          method,
          headers,
          body: JSON.stringify(body),
          // Some browsers do not support keepalive with a preflight; the retries do without it.
          keepalive: keepalive && attempt === 0,
        };
        const answer = await this.#attempt(path, init, withinMs, signal);
        const result = answer.status < 300 ? read(answer) : undefined;
        if (result) return result;
        failure = answerError(answer);
        attempts = attemptsFor(answer.status, failure.code, waiting);
      } catch (error) {
        if (error instanceof CoupletError) throw error;
        // A browser hides why a request to another origin failed: CORS, a redirect of the preflight, or no server.
        const message = `No answer from ${url}. It may be down, redirect, or refuse this origin.`;
        failure = new CoupletError('network', message, error);
      }
      const askedMs = (failure.retryAfterSeconds ?? 0) * 1000;
      const nowMs = clock.monotonic();
      if (waiting && leftMs === 0) lateFailures++;
      const isOver = waiting
        ? nowMs + askedMs >= expiresMs + GRACE_MS &&
          (lateFailures >= MIN_LATE_FAILURES || askedMs > LONGEST_DELAY_MS)
        : attempt + 1 >= attempts || waitedMs + askedMs > LONGEST_DELAY_MS;
      if (isOver || attempts === 1) throw failure;
      let delayMs = reconnectDelayMs(attempt, random());
      if (waiting) delayMs = Math.min(delayMs, Math.max(0, expiresMs - nowMs) + LATE_DELAY_MS);
      // The server asks all clients to wait for the same time. The random delay on top spreads their retries.
      delayMs += askedMs;
      waitedMs += delayMs;
      await sleep(clock, delayMs, signal);
    }
  }

  /** Sends the request once. Rejects with `aborted` if the caller's signal is aborted; any other error is a lost answer. */
  async #attempt(
    path: string,
    init: RequestInit,
    withinMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const { url, fetch, clock } = this.#options;
    throwIfAborted(signal);
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    const stop = onAbort(signal, abort);
    const cancel = clock.after(withinMs, abort);
    try {
      const response = await fetch(url + path, { ...init, signal: attempt.signal });
      // The time limit includes reading the body, because the connection may break during it.
      const text = await response.text();
      return {
        status: response.status,
        // Undefined if there is no body, or for the HTML page of a proxy: the status is enough.
        body: parsed(text),
        // The query may contain personal data, so it is not shown.
        redirectedTo: response.redirected ? response.url.split('?')[0] : undefined,
        retryAfterSeconds: retryAfterSecondsOf(response.headers.get('Retry-After')),
      };
    } catch (error) {
      throwIfAborted(signal);
      throw error;
    } finally {
      cancel();
      stop();
    }
  }
}

/** Attempts allowed after such an answer; 1 if the same request would always get the same answer. */
function attemptsFor(status: number, code: CoupletErrorCode, waiting: boolean): number {
  // All other answers to a check come from a proxy, or from access control before the server.
  if (waiting) return /^(not_found_or_expired$|invalid_)/.test(code) ? 1 : MAX_ATTEMPTS;
  const isBusy = status >= 500 || status === 429 || status === 408;
  if (isBusy || code === 'request_in_progress') return MAX_ATTEMPTS;
  return code === 'unexpected_answer' ? MAX_FOREIGN_ANSWERS : 1;
}

/** Returns random digits. Of 2³² numbers, six more end in 0 to 5 than the others: no digit is favored noticeably. */
export const randomDigits = (count: number): string =>
  Array.from(crypto.getRandomValues(new Uint32Array(count)), (number) => number % 10).join('');

/** Returns 129 random bits. `crypto.randomUUID` is missing in insecure contexts, such as plain HTTP in a local network. */
export const randomId = (): string => randomDigits(39);

/** The body of an answer, if this field of it is text. */
function withText<Field extends string>(body: Answer['body'], field: Field) {
  return typeof body?.[field] === 'string'
    ? (body as Record<Field, string> & { secret?: string })
    : undefined;
}

/**
 * Parses the seconds of `Retry-After`. An HTTP date (RFC 9110 §10.2.3), which only a proxy sends, is ignored because the
 * clock of the device may be wrong.
 */
export const retryAfterSecondsOf = (header: string | null): number | undefined =>
  /^\d+$/.test(header ?? '') ? Number(header) : undefined;
