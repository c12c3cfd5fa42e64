// Checks the `Host` of a request (RFC 9112 §3.2) and compares it with ALLOWED_HOSTS.
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { RestErrorCode } from '@couplet/protocol';
import { allowedHostNames, canonicalHost, type HostSettings } from '../settings/host-names.js';

/** Returns why a request is refused for its host, or undefined. */
export type HostRule = (request: IncomingMessage) => RestErrorCode | undefined;

/** RFC 3986 §3.2.2 and §3.2.3; empty if the target has no authority. */
const HOST = /^([\w.~!$&'()*+,;=%-]*|\[[\da-f:.]+\])(?::\d*)?$/i;

/** The authority of a target in absolute form (RFC 9112 §3.2.2). Some clients use the scheme `ws` or `wss`. */
const ABSOLUTE_FORM = /^(?:http|ws)s?:\/\/(?:[^/?#@]*@)?([^/?#]*)/i;

/**
 * Makes the rule: a request has one well-formed `Host`, and it is in the list if there is one. IP addresses, `localhost`
 * and names below it are always allowed, because DNS rebinding cannot make a browser send them. A request without
 * `Host` (HTTP/1.0) is allowed, because browsers always send it.
 */
export function hostRule(config: HostSettings): HostRule {
  const allowed = allowedHostNames(config);
  return (request) => {
    const count = hostHeaders(request);
    if (count > 1 || (count === 0 && request.httpVersion === '1.1')) return 'invalid_request';
    const host = requestedHost(request);
    const name = HOST.exec(host)?.[1];
    if (name === undefined) return 'invalid_request';
    if (allowed.size === 0 || name === '') return undefined;
    const known = canonicalHost(name);
    if (allowed.has(known) || isIP(known) > 0 || /^(.+\.)?localhost$/.test(known)) return undefined;
    return 'forbidden';
  };
}

/** Returns the authority of the target of a request, or else its `Host`. */
export const requestedHost = ({ url = '', headers }: IncomingMessage): string =>
  // Fast path: most targets begin with a slash.
  (url.startsWith('/') ? undefined : ABSOLUTE_FORM.exec(url)?.[1]) ?? headers.host ?? '';

/** Returns the path and query of a target in any form. */
export const originForm = (url: string): string =>
  url.startsWith('/') ? url : url.replace(ABSOLUTE_FORM, '').replace(/^(?=\?|$)/, '/');

/** Counts the `Host` headers, because `request.headers` has only the first. */
function hostHeaders({ rawHeaders }: IncomingMessage): number {
  let count = 0;
  for (let n = 0; n < rawHeaders.length; n += 2) {
    const name = rawHeaders[n] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count;
}
