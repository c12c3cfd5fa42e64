// Pairing over REST: create, accept, check, ICE servers, purge. docs/protocol.md §3. A lost answer is asked for again.
import type { PurgeResponse, RTCIceServer } from '@couplet/protocol';
import { type Clock, sleep, systemClock } from './clock.js';
import { CoupletError, isRecord } from './errors.js';
import { LONGEST_DELAY_MS, reconnectDelayMs } from './reconnect-policy.js';
import { retryAfterSecondsOf } from './retry-after.js';

/** What is needed of `fetch`. */
export type Fetch = (url: string, init: RequestInit) => Promise<Response>;

export interface PairingClientOptions {
  /** Of the server: `https://host`. */
  url: string;
  fetch: Fetch;
  clock?: Clock;
  random?: () => number;
}

/** How often a request is sent before its failure is the caller's. */
const MAX_ATTEMPTS = 6;

/** How long the server may hold a check. Below the bound of the protocol, and below what proxies commonly allow. */
const WAIT_SECONDS = 25;

/** How long an answer may take beyond that. A connection that died without a word would be waited for for ever. */
const ANSWER_WITHIN_MS = 15_000;

/** Between a check that was not held and the next. Not every proxy passes `Prefer` on, and nobody is to be hammered. */
const REST_BETWEEN_CHECKS_MS = 2000;

interface Answer {
  status: number;
  body: unknown;
  retryAfterSeconds: number | undefined;
}

export class PairingClient {
  readonly #options: Required<PairingClientOptions>;

  constructor(options: PairingClientOptions) {
    this.#options = { clock: systemClock, random: Math.random, ...options };
  }

  /** Makes a join code live; resolves to the time until which it is. */
  async create(
    joinCode: string,
    expiresInSeconds: number,
    deviceId: string,
    signal?: AbortSignal,
  ): Promise<Date> {
    const body = { joinid: joinCode, expiresInSeconds, client1: deviceId };
    const answer = await this.#post('/api/rooms', body, { signal });
    return new Date(textOf(answer, 'exp'));
  }

  /** Accepts a join code; resolves to the id of the room. */
  async accept(joinCode: string, deviceId: string, signal?: AbortSignal): Promise<string> {
    const body = { joinid: joinCode, client2: deviceId };
    return textOf(await this.#post('/api/rooms/accept', body, { signal }), 'roomid');
  }

  /** Waits until the code is accepted, through outages of any length; resolves to the id of the room. */
  async check(joinCode: string, deviceId: string, signal?: AbortSignal): Promise<string> {
    const body = { joinid: joinCode, client1: deviceId };
    const { clock } = this.#options;
    for (;;) {
      let held = false;
      const cancel = clock.after(REST_BETWEEN_CHECKS_MS, () => {
        held = true;
      });
      // A key of its own for every question: to a repeated one the answer would for ever be that nobody came yet.
      const answer = await this.#post('/api/rooms/check', body, {
        signal,
        waitSeconds: WAIT_SECONDS,
      }).finally(cancel);
      if (answer.status !== 204) return textOf(answer, 'roomid');
      if (!held) await sleep(clock, REST_BETWEEN_CHECKS_MS, signal);
    }
  }

  /** What to put into RTCPeerConnection, with fresh credentials. */
  async iceServers(
    roomId: string,
    deviceId: string,
    signal?: AbortSignal,
  ): Promise<RTCIceServer[]> {
    const body = { roomid: roomId, client: deviceId };
    const answer = await this.#post('/api/ice-servers', body, { signal });
    const { iceServers } = isRecord(answer.body) ? answer.body : {};
    if (!Array.isArray(iceServers)) throw CoupletError.ofAnswer(answer.status, undefined);
    return iceServers;
  }

  /** Has the server forget these devices. */
  async purge(deviceIds: readonly string[], signal?: AbortSignal): Promise<PurgeResponse> {
    const answer = await this.#post('/api/user/purge', { deviceIds }, { signal });
    if (!isRecord(answer.body)) throw CoupletError.ofAnswer(answer.status, undefined);
    return answer.body as PurgeResponse;
  }

  /** Sends one logical request as often as it takes, always under one Idempotency-Key; resolves to its success. */
  async #post(
    path: string,
    body: object,
    { signal, waitSeconds }: { signal?: AbortSignal | undefined; waitSeconds?: number },
  ): Promise<Answer> {
    const { clock, random } = this.#options;
    const headers = {
      'Content-Type': 'application/json',
      'Idempotency-Key': randomId(),
      ...(waitSeconds === undefined ? {} : { Prefer: `wait=${waitSeconds}` }),
    };
    // Whoever waits for a peer, waits through an outage too; whoever has just pressed a button wants to know.
    const patient = waitSeconds !== undefined;
    const withinMs = ANSWER_WITHIN_MS + (waitSeconds ?? 0) * 1000;
    let waitedMs = 0;
    for (let attempt = 0; ; attempt++) {
      let failure: CoupletError;
      try {
        const answer = await this.#attempt(path, headers, body, withinMs, signal);
        if (answer.status >= 200 && answer.status < 300) return answer;
        failure = CoupletError.ofAnswer(answer.status, answer.body, answer.retryAfterSeconds);
        if (!isPassing(answer.status, failure)) throw failure;
      } catch (error) {
        if (error instanceof CoupletError) throw error;
        failure = new CoupletError('network', { cause: error });
      }
      const askedMs = (failure.retryAfterSeconds ?? 0) * 1000;
      const spent = attempt + 1 >= MAX_ATTEMPTS || waitedMs + askedMs > LONGEST_DELAY_MS;
      if (spent && !patient) throw failure;
      // The jitter comes on top of what the server asked for: it asked all its clients the same.
      const delayMs = askedMs + reconnectDelayMs(attempt, random());
      waitedMs += delayMs;
      await sleep(clock, delayMs, signal);
    }
  }

  /** Sends the request once; rejects with `aborted` for the caller's signal, with anything else for a lost answer. */
  async #attempt(
    path: string,
    headers: Record<string, string>,
    body: object,
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
      const response = await fetch(url + path, {
        method: 'POST',
        headers,
        body: JSON.stringify(body),
        signal: attempt.signal,
      });
      // Reading the body belongs to the attempt: the connection may break in the middle of it.
      const text = await response.text();
      return {
        status: response.status,
        body: parsed(text),
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

/** Whether the same request may fare better later. */
const isPassing = (status: number, { code }: CoupletError): boolean =>
  status >= 500 || status === 429 || status === 408 || code === 'request_in_progress';

/** A random id in hex. `crypto.randomUUID` exists only in secure contexts, and a server in the local network is none. */
export function randomId(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

function textOf({ status, body }: Answer, field: string): string {
  const value = isRecord(body) ? body[field] : undefined;
  if (typeof value !== 'string') throw CoupletError.ofAnswer(status, undefined);
  return value;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // No body, or a proxy's HTML page: the status says enough.
    return undefined;
  }
}
