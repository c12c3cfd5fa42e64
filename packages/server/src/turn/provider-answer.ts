// Reads ICE servers and their lifetime from the answer of a TURN provider, in any of the shapes that providers use.
import type { RTCIceServer } from '@couplet/protocol';
import { parsedJson } from '../base/json.js';
import { iceServerFault, isIceUrl } from '../settings/turn.js';

/** Every client gets the whole list, and tries every URL. */
const MAX_URLS = 32;

/** The bounds of TURN_TTL_SECONDS. A longer lifetime counts as the largest. */
const TTL_SECONDS = { least: 60, most: 86_400 };

export interface ProviderAnswer {
  readonly iceServers: readonly RTCIceServer[];
  /** Undefined if the answer does not state it. */
  readonly ttlSeconds: number | undefined;
  /** Number of URLs that were left out because browsers would refuse them, or because there are too many. */
  readonly leftOut: number;
}

/** Returns undefined if the text is not an answer with a usable TURN server and, if it has a `ttl`, a usable one. */
export function readAnswer(text: string): ProviderAnswer | undefined {
  const answer = parsedJson(text);
  const ttlSeconds = ttlOf(answer);
  if (ttlSeconds === 'invalid') return undefined;
  const iceServers: RTCIceServer[] = [];
  let [used, leftOut] = [0, 0];
  for (const entry of entriesOf(answer)) {
    // Twilio names the URL twice, in `url` and `urls`.
    const { urls, url, username, credential } = Object(entry) as Record<string, unknown>;
    const given = [urls ?? url].flat().filter((each) => !isBlocked(each));
    const server = {
      urls: given.filter(isUsable).slice(0, MAX_URLS - used),
      ...(typeof username === 'string' && { username }),
      ...(typeof credential === 'string' && { credential }),
    };
    // One server that a browser refuses makes it refuse the whole list.
    const taken = iceServerFault(server) === undefined ? server.urls.length : 0;
    if (taken > 0) iceServers.push(server);
    used += taken;
    leftOut += given.length - taken;
  }
  // Without a TURN server, the fallback is better than the answer.
  const hasTurn = iceServers.some(({ urls }) => [urls].flat().some((url) => /^turns?:/.test(url)));
  return hasTurn ? { iceServers, ttlSeconds, leftOut } : undefined;
}

/**
 * Cloudflare also lists port 53, to which Chromium sends nothing, unlike Firefox. It reports no error either, so a client
 * that waits for all candidates would wait for a timeout.
 */
const isBlocked = (url: unknown): boolean => typeof url === 'string' && /:53(\?|$)/.test(url);

const isUsable = (url: unknown): url is string => typeof url === 'string' && isIceUrl(url);

/**
 * Metered answers with a list, Cloudflare with `iceServers` (formerly one server instead of a list), Twilio with
 * `ice_servers`, and Xirsys with an object `v` that has `iceServers`.
 */
function entriesOf(answer: unknown): readonly unknown[] {
  if (Array.isArray(answer)) return answer;
  const { iceServers, ice_servers, v } = Object(answer) as Record<string, unknown>;
  const inner = iceServers ?? ice_servers ?? v;
  return inner === undefined ? [answer] : entriesOf(inner);
}

/** Twilio states the lifetime as text. */
function ttlOf(answer: unknown): number | undefined | 'invalid' {
  const { ttl } = Object(answer) as { ttl?: unknown };
  if (ttl === undefined || ttl === null) return undefined;
  const seconds = typeof ttl === 'string' && /^\d{1,15}$/.test(ttl) ? Number(ttl) : ttl;
  if (typeof seconds !== 'number' || !(seconds >= TTL_SECONDS.least)) return 'invalid';
  return Math.min(Math.floor(seconds), TTL_SECONDS.most);
}
