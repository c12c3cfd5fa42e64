// Pairing over REST: create, accept, check, ICE servers, purge. docs/protocol.md §3. A lost answer is asked for again.
import { MAX_PURGE_SECRETS, type PurgeResponse, type RTCIceServer } from '@couplet/protocol';
import { type Clock, sleep, systemClock } from '../clock.js';
import { type Answer, CoupletError, type CoupletErrorCode } from '../errors.js';
import { isRecord, parsed } from '../json.js';
import { LONGEST_DELAY_MS, reconnectDelayMs } from '../reconnect-policy.js';

/** What is needed of `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

/** The secret of a device in a pairing. Undefined if the server is of a version without them: then none is sent. */
export type Secret = string | undefined;

export interface PairingClientOptions {
  /** Of the server: `https://host`. */
  url: string;
  fetch: Fetch;
  clock?: Clock;
  random?: () => number;
}

/** How often a request is sent before it fails. */
const MAX_ATTEMPTS = 6;

/** The same if something other than a Couplet server answers: a proxy during a deployment, or a login page. */
const MAX_FOREIGN_ANSWERS = 3;

/** How long the server may hold a check. Below the bound of the protocol, and below the limits of common proxies. */
const WAIT_SECONDS = 25;

/** How long an answer may take beyond that. Otherwise a dead connection would be waited for forever. */
const ANSWER_WITHIN_MS = 15_000;

/** Pause between a check that was not held and the next. Not every proxy passes `Prefer` on. */
const REST_BETWEEN_CHECKS_MS = 2000;

/**
 * How long a check goes on failing after its code has expired, and how often at least. A device that was asleep has
 * not sent a request for a while, and its network takes a moment to come back.
 */
const GRACE_MS = 20_000;
const MIN_LATE_FAILURES = 3;

/** Bounds in that time: of one attempt, and of the pause before the next. */
const LATE_ATTEMPT_MS = 5000;
const LATE_DELAY_MS = 3000;

/** Codes that answer no check of a code that was live: they come from a proxy, or from access control before the server. */
const PASSING_WHILE_WAITING: readonly CoupletErrorCode[] = [
  'not_found',
  'unauthorized',
  'forbidden',
];

export class PairingClient {
  readonly #options: Required<PairingClientOptions>;

  constructor(options: PairingClientOptions) {
    this.#options = { clock: systemClock, random: Math.random, ...options };
  }

  /** Makes a join code live; resolves to the monotonic time at which it expires, and to the secret of the device. */
  async create(
    joinCode: string,
    expiresInSeconds: number,
    deviceId: string,
    signal?: AbortSignal,
  ): Promise<{ expiresMs: number; secret: Secret }> {
    const body = { joinid: joinCode, expiresInSeconds, client1: deviceId };
    // Counted from the request: the answer may be a repeated one, and names a time of the server's clock.
    const createdMs = this.#options.clock.monotonic();
    const read = (answer: Answer) =>
      textOf(answer, 'exp') ? { secret: textOf(answer, 'secret') } : undefined;
    const { secret } = await this.#post('/api/rooms', body, read, signal);
    return { expiresMs: createdMs + expiresInSeconds * 1000, secret };
  }

  /** Accepts a join code; resolves to the id of the room, and to the secret of the device. */
  accept(
    joinCode: string,
    deviceId: string,
    signal?: AbortSignal,
  ): Promise<{ roomId: string; secret: Secret }> {
    const body = { joinid: joinCode, client2: deviceId };
    const read = (answer: Answer) => {
      const roomId = roomIdOf(answer);
      return roomId === undefined ? undefined : { roomId, secret: textOf(answer, 'secret') };
    };
    return this.#post('/api/rooms/accept', body, read, signal);
  }

  /**
   * Waits until the code is accepted, through outages, until shortly after it expires; resolves to the id of the room.
   *
   * @param expiresMs monotonic time, as `create` resolves to it
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
    const waiting = (answer: Answer) => answer.status === 204 || roomIdOf(answer);
    for (;;) {
      const askedMs = clock.monotonic();
      // Each check has a key of its own: the answer to a repeated one would always be that nobody has accepted yet.
      const roomId = await this.#post('/api/rooms/check', body, waiting, signal, expiresMs);
      if (roomId !== true) return roomId;
      const nowMs = clock.monotonic();
      // Not of the server: it answers 404 then.
      if (nowMs >= expiresMs + GRACE_MS) throw CoupletError.ofAnswer({ status: 204 });
      if (nowMs - askedMs < REST_BETWEEN_CHECKS_MS) {
        await sleep(clock, REST_BETWEEN_CHECKS_MS, signal);
      }
    }
  }

  /**
   * Has the server delete a code that nobody has accepted. Best effort, in the background, also while the page is left:
   * older servers lack this endpoint, and the code expires anyway.
   */
  cancel(joinCode: string, deviceId: string, secret?: Secret): void {
    const body = { joinid: joinCode, client1: deviceId, secret };
    const read = (answer: Answer) => isRecord(answer.body) || undefined;
    this.#post('/api/rooms/cancel', body, read, undefined, undefined, true).catch(() => {});
  }

  /** What to put into RTCPeerConnection, with fresh credentials. */
  iceServers(
    roomId: string,
    deviceId: string,
    signal?: AbortSignal,
    secret?: Secret,
  ): Promise<RTCIceServer[]> {
    const body = { roomid: roomId, client: deviceId, secret };
    const read = ({ body }: Answer) =>
      isRecord(body) && Array.isArray(body.iceServers) ? body.iceServers : undefined;
    return this.#post('/api/ice-servers', body, read, signal);
  }

  /** Has the server forget these devices; the latest secrets are sent, as many as it takes. */
  purge(
    deviceIds: readonly string[],
    signal?: AbortSignal,
    secrets: readonly string[] = [],
  ): Promise<PurgeResponse> {
    const read = ({ body }: Answer) => (isRecord(body) ? (body as PurgeResponse) : undefined);
    const body = {
      deviceIds,
      ...(secrets.length && { secrets: secrets.slice(-MAX_PURGE_SECRETS) }),
    };
    return this.#post('/api/user/purge', body, read, signal);
  }

  /**
   * Sends one logical request as often as needed, always under one Idempotency-Key.
   *
   * @param read the result in a success; undefined if the answer is not of the protocol
   * @param expiresMs if given, the server holds the answer, and attempts go on until shortly after that time. Without
   * it a person waits for the answer, and is told of a failure soon.
   * @param keepalive whether the first attempt outlives the page
   */
  async #post<Result>(
    path: string,
    body: object,
    read: (answer: Answer) => Result | undefined,
    signal: AbortSignal | undefined,
    expiresMs?: number,
    keepalive = false,
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
        const init: RequestInit = { method: 'POST', headers, body: JSON.stringify(body) };
        // Not every browser combines keepalive with a preflight.
        if (keepalive && attempt === 0) init.keepalive = true;
        const answer = await this.#attempt(path, init, withinMs, signal);
        const isSuccess = answer.status >= 200 && answer.status < 300;
        const result = isSuccess ? read(answer) : undefined;
        if (result !== undefined) return result;
        failure = CoupletError.ofAnswer(answer);
        attempts = attemptsFor(answer.status, failure.code, waiting);
      } catch (error) {
        if (error instanceof CoupletError) throw error;
        failure = new CoupletError('network', { message: `No answer from ${url}.`, cause: error });
      }
      const askedMs = (failure.retryAfterSeconds ?? 0) * 1000;
      const nowMs = clock.monotonic();
      if (waiting && leftMs === 0) lateFailures++;
      const isOver = waiting
        ? nowMs + askedMs >= expiresMs + GRACE_MS &&
          (lateFailures >= MIN_LATE_FAILURES || askedMs > LONGEST_DELAY_MS)
        : attempt + 1 >= attempts || waitedMs + askedMs > LONGEST_DELAY_MS;
      if (isOver || attempts === 1) {
        throw failure.code === 'network' ? await this.#withCause(failure, signal) : failure;
      }
      let delayMs = reconnectDelayMs(attempt, random());
      if (waiting) delayMs = Math.min(delayMs, Math.max(0, expiresMs - nowMs) + LATE_DELAY_MS);
      // The server asks all its clients to wait equally long: the random delay comes on top.
      delayMs += askedMs;
      waitedMs += delayMs;
      await sleep(clock, delayMs, signal);
    }
  }

  /**
   * A browser hides why a request to another origin fails. If the server answers a request that needs no permission, the
   * address redirects the preflight, or something on the way strips the CORS headers.
   */
  async #withCause(failure: CoupletError, signal: AbortSignal | undefined): Promise<CoupletError> {
    if (!('location' in globalThis)) return failure;
    try {
      await this.#attempt('/healthz', { mode: 'no-cors' }, LATE_ATTEMPT_MS, signal);
    } catch (error) {
      return error instanceof CoupletError ? error : failure;
    }
    return new CoupletError('unexpected_answer', {
      message: `The address ${this.#options.url} answers, but is redirected or does not allow this origin.`,
      cause: failure.cause,
    });
  }

  /** Sends the request once; rejects with `aborted` for the caller's signal, with anything else for a lost answer. */
  async #attempt(
    path: string,
    init: RequestInit,
    withinMs: number,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const { url, fetch, clock } = this.#options;
    if (signal?.aborted) throw CoupletError.aborted(signal);
    const attempt = new AbortController();
    const abort = () => attempt.abort();
    signal?.addEventListener('abort', abort, { once: true });
    const cancel = clock.after(withinMs, abort);
    try {
      const response = await fetch(url + path, { ...init, signal: attempt.signal });
      // Reading the body belongs to the attempt: the connection may break in the middle of it.
      const text = await response.text();
      return {
        status: response.status,
        // No body, or a proxy's HTML page: the status says enough.
        body: parsed(text),
        // A query may be meant for one person, and is no part of an address to be shown.
        redirectedTo: response.redirected ? response.url.split('?')[0] : undefined,
        retryAfterSeconds: retryAfterSecondsOf(response.headers.get('Retry-After'), Date.now()),
      };
    } catch (error) {
      throw signal?.aborted ? CoupletError.aborted(signal) : error;
    } finally {
      cancel();
      signal?.removeEventListener('abort', abort);
    }
  }
}

/** How often a request may be sent that got such an answer; 1 if the same request would always get it. */
function attemptsFor(status: number, code: CoupletErrorCode, waiting: boolean): number {
  const isBusy = status >= 500 || status === 429 || status === 408;
  if (isBusy || code === 'request_in_progress') return MAX_ATTEMPTS;
  if (code === 'unexpected_answer') return MAX_FOREIGN_ANSWERS;
  return waiting && PASSING_WHILE_WAITING.includes(code) ? MAX_ATTEMPTS : 1;
}

/** A random id in hex. `crypto.randomUUID` exists only in secure contexts, and a server in the local network is none. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

const roomIdOf = (answer: Answer) => textOf(answer, 'roomid');

function textOf({ body }: Answer, field: string): string | undefined {
  const value = isRecord(body) ? body[field] : undefined;
  return typeof value === 'string' ? value : undefined;
}

/** Seconds to wait, of a header Retry-After: a number, or an HTTP date (RFC 9110 §10.2.3); undefined if it is neither. */
export function retryAfterSecondsOf(header: string | null, nowMs: number): number | undefined {
  if (!header) return undefined;
  if (/^\d+$/.test(header)) return Number(header);
  const seconds = Math.ceil((Date.parse(header) - nowMs) / 1000);
  return Number.isNaN(seconds) ? undefined : Math.max(0, seconds);
}
