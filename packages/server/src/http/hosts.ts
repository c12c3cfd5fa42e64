// The `Host` of a request (RFC 9112 §3.2): whether there is one, and whether it is of this server (ALLOWED_HOSTS).
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';
import type { RestErrorCode } from '@couplet/protocol';
import { allowedHostNames, canonicalHost, type HostSettings } from '../settings/host-names.js';

/** Tells why a request is not served for its host; undefined where it is. */
export type HostRule = (request: IncomingMessage) => RestErrorCode | undefined;

/** RFC 3986 §3.2.2 and §3.2.3; empty where the target has no authority. */
const HOST = /^([\w.~!$&'()*+,;=%-]*|\[[\da-f:.]+\])(?::\d*)?$/i;

/** The authority of a target in absolute form (RFC 9112 §3.2.2); some clients write the scheme of the WebSocket. */
const ABSOLUTE_FORM = /^(?:http|ws)s?:\/\/(?:[^/?#@]*@)?([^/?#]*)/i;

/**
 * Makes the rule: one well-formed `Host`, and a name of the list, where there is one. Host names that DNS rebinding cannot
 * make a browser send are always allowed: IP addresses, and `localhost` with all names below it. Without `Host` (HTTP/1.0)
 * there is no browser.
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

/** Whom a request is for: the authority of its target, or else its `Host`. */
export const requestedHost = ({ url = '', headers }: IncomingMessage): string =>
  // Most targets begin with a slash.
  (url.startsWith('/') ? undefined : ABSOLUTE_FORM.exec(url)?.[1]) ?? headers.host ?? '';

/** The path and query of a target, whatever its form. */
export const originForm = (url: string): string =>
  url.startsWith('/') ? url : url.replace(ABSOLUTE_FORM, '').replace(/^(?=\?|$)/, '/');

/** Node keeps the first of several. */
function hostHeaders({ rawHeaders }: IncomingMessage): number {
  let count = 0;
  for (let n = 0; n < rawHeaders.length; n += 2) {
    const name = rawHeaders[n] as string;
    if (name.length === 4 && name.toLowerCase() === 'host') count += 1;
  }
  return count;
}
