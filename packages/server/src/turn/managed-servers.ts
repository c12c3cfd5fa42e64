// Fetches ICE servers from ICE_SERVERS_URL ahead of need and holds them, so that no client ever waits for the provider.
import type { RTCIceServer } from '@couplet/protocol';
import { HttpClient } from '../http/outgoing.js';
import type { Services } from '../observability/services.js';
import type { Config } from '../settings/config.js';
import { type ProviderAnswer, readAnswer } from './provider-answer.js';

/** Longest time of a request, in milliseconds. */
const TIMEOUT_MS = 10_000;

/** How often the server checks whether a request is due, in milliseconds. */
const CHECK_EVERY_MS = 1000;

/** The longest time between two requests that fail, in milliseconds. */
const MAX_BACKOFF_MS = 300_000;

/** Part of their lifetime after which new credentials are fetched: random, so that not all nodes fetch at once. */
const REFRESH_AFTER = { least: 0.4, most: 0.45 };

/** Credentials with at most this part of their lifetime left are not handed out. */
const LEAST_LEFT = 0.1;

const OUTCOMES = ['ok', 'timeout', 'unreachable', 'refused', 'invalid'] as const;

/** What clients get, besides the servers of ICE_SERVERS_EXTRA. */
const SOURCES = ['managed', 'coturn', 'stun', 'none'] as const;

type Fetched =
  | { readonly outcome: 'ok'; readonly answer: ProviderAnswer }
  | {
      readonly outcome: Exclude<(typeof OUTCOMES)[number], 'ok'>;
      readonly status?: number;
      readonly code?: string;
    };

interface Held {
  readonly iceServers: readonly RTCIceServer[];
  readonly lifetimeMs: number;
  readonly refreshAfterMs: number;
  /** When they were requested, by both clocks: the wall clock may be set back, and the other one may stop. */
  readonly wallAt: number;
  readonly monotonicAt: number;
}

export type ManagedServers = ReturnType<typeof fetchManagedServers>;

/** Fetches at once, again before half of the lifetime has passed, and after failures with growing pauses. */
export function fetchManagedServers({ config, clock, metrics, log }: Services) {
  const counts = metrics.counter(
    'couplet_ice_servers_fetches_total',
    'Requests to ICE_SERVERS_URL, by outcome. timeout: no complete answer within ten seconds. unreachable: no connection. refused: a status other than 2xx. invalid: no TURN server that browsers accept, or a lifetime of less than a minute.',
    'outcome',
    OUTCOMES,
  );
  const http = new HttpClient();
  let held: Held | undefined;
  let running: AbortController | undefined;
  let isClosed = false;
  let failures = 0;
  let leftOut = 0;
  let notBefore = clock.monotonic();

  const ageMs = ({ wallAt, monotonicAt }: Held) =>
    Math.max(clock.now() - wallAt, clock.monotonic() - monotonicAt);

  const leftMs = () => (held === undefined ? 0 : Math.max(0, held.lifetimeMs - ageMs(held)));

  const refresh = async () => {
    running = new AbortController();
    const { signal } = running;
    const asked = { wallAt: clock.now(), monotonicAt: clock.monotonic() };
    const cancelTimeout = clock.after(TIMEOUT_MS, () => running?.abort());
    const fetched = await ask(http, config, signal);
    cancelTimeout();
    running = undefined;
    if (isClosed) return;
    counts[fetched.outcome] += 1;
    if (fetched.outcome === 'ok') succeeded(fetched.answer, asked);
    else failed(fetched);
  };

  const succeeded = (answer: ProviderAnswer, asked: Pick<Held, 'wallAt' | 'monotonicAt'>) => {
    const lifetimeMs = (answer.ttlSeconds ?? config.turnTtlSeconds) * 1000;
    const { least, most } = REFRESH_AFTER;
    const refreshAfterMs = lifetimeMs * (least + (most - least) * Math.random());
    held = { iceServers: answer.iceServers, lifetimeMs, refreshAfterMs, ...asked };
    if (failures > 0) log.info('ICE_SERVERS_URL answers with ICE servers again');
    failures = 0;
    if (answer.leftOut > 0 && answer.leftOut !== leftOut) {
      const urls = answer.leftOut;
      log.warn({ urls }, 'URLs of the answer of ICE_SERVERS_URL are not handed out');
    }
    leftOut = answer.leftOut;
  };

  const failed = (fault: Fetched) => {
    // Logged once, not for each attempt.
    if (failures === 0) log.warn(fault, 'ICE_SERVERS_URL does not answer with ICE servers');
    const backoffMs = Math.min(MAX_BACKOFF_MS, CHECK_EVERY_MS * 2 ** failures);
    notBefore = clock.monotonic() + backoffMs * (0.5 + Math.random() / 2);
    failures += 1;
  };

  const check = () => {
    const isDue = held === undefined || ageMs(held) >= held.refreshAfterMs;
    if (running === undefined && isDue && clock.monotonic() >= notBefore) void refresh();
  };
  const stopChecks = clock.every(CHECK_EVERY_MS, check);
  check();

  /** The servers and the seconds for which their credentials open allocations; undefined if there are none to hand out. */
  const current = () => {
    const left = leftMs();
    if (held === undefined || left <= held.lifetimeMs * LEAST_LEFT) return undefined;
    return { iceServers: held.iceServers, ttlSeconds: Math.floor(left / 1000) };
  };
  const source = (): (typeof SOURCES)[number] => {
    if (current() !== undefined) return 'managed';
    if (config.turnUrls.length > 0) return 'coturn';
    return config.stunUrls.length > 0 ? 'stun' : 'none';
  };

  metrics.level(
    'couplet_ice_servers_remaining_seconds',
    'Remaining lifetime of the credentials from ICE_SERVERS_URL, in seconds; 0 without any.',
    () => leftMs() / 1000,
  );
  metrics.levels(
    'couplet_ice_servers_source',
    '1 for the source of the ICE servers that clients get. managed: ICE_SERVERS_URL. coturn: TURN_URLS. stun: STUN_URLS. none: none of these; ICE_SERVERS_EXTRA is not counted.',
    'source',
    SOURCES,
    () => ({ managed: 0, coturn: 0, stun: 0, none: 0, [source()]: 1 }),
  );

  return {
    current,

    /** The note in GET /readyz while clients get the fallback. */
    note(): string | undefined {
      if (current() !== undefined) return undefined;
      return 'ICE_SERVERS_URL has not answered with ICE servers: devices only get those of TURN_URLS, STUN_URLS and ICE_SERVERS_EXTRA';
    },

    /** Ends the requests. An answer that arrives later is ignored. */
    close(): void {
      isClosed = true;
      stopChecks();
      running?.abort();
      http.close();
    },
  };
}

/** Sends one request. Never rejects; what it returns quotes neither the request nor the answer. */
async function ask(http: HttpClient, config: Config, signal: AbortSignal): Promise<Fetched> {
  const { iceServersUrl, iceServersMethod: method } = config;
  const body = method === 'GET' ? undefined : bodyOf(config);
  try {
    const request = { method, headers: headersOf(config), body };
    const { status, text } = await http.send(iceServersUrl, request, signal);
    if (status < 200 || status > 299) return { outcome: 'refused', status };
    const answer = readAnswer(text);
    return answer === undefined ? { outcome: 'invalid' } : { outcome: 'ok', answer };
  } catch (error) {
    if (signal.aborted) return { outcome: 'timeout' };
    const { code } = error as { code?: string };
    return { outcome: 'unreachable', ...(code !== undefined && { code }) };
  }
}

const bodyOf = ({ iceServersBody, turnTtlSeconds }: Config): string =>
  iceServersBody || JSON.stringify({ ttl: turnTtlSeconds });

function headersOf(config: Config): Record<string, string> {
  const { iceServersToken: token, iceServersMethod: method } = config;
  // A bearer token has no colon (RFC 6750 §2.1).
  const authorization = token.includes(':')
    ? `Basic ${Buffer.from(token).toString('base64')}`
    : `Bearer ${token}`;
  const isJson = /^[[{]/.test(bodyOf(config));
  const type = isJson ? 'application/json' : 'application/x-www-form-urlencoded';
  return {
    accept: 'application/json',
    ...(token !== '' && { authorization }),
    ...(method !== 'GET' && { 'content-type': type }),
  };
}
