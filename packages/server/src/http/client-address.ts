// Determines the client address of a request, from the socket or from trusted proxies, and the key for its limits.
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { Logger } from '../observability/logger.js';
import type { Config } from '../settings/config.js';
import { forwardedAddress, type ProxyRule, proxyRule } from '../settings/trust-proxy.js';

/** Whether a proxy is trusted, with a callback for an entry that cannot be parsed. */
export interface TrustProxy extends ProxyRule {
  /** Called for each client whose address, as written by a trusted proxy, cannot be parsed. */
  onUnreadable?: () => void;
}

/** Makes the rule of TRUST_PROXY. The first address that cannot be parsed is logged as a warning. */
export function trustProxy(config: Pick<Config, 'trustProxy'>, log?: Logger): TrustProxy {
  const rule = proxyRule(config);
  const trust: TrustProxy = (address, hop) => rule(address, hop);
  let warned = false;
  trust.onUnreadable = () => {
    if (warned || log === undefined) return;
    warned = true;
    log.warn(
      'X-Forwarded-For of a trusted proxy has an entry that is not an IP address: all such clients share the limits of one address',
    );
  };
  return trust;
}

/**
 * Returns the client's address: the one nearest to the server that is not a trusted proxy. Removes port, brackets and
 * quotes from the addresses in X-Forwarded-For of a trusted proxy, also in the request, from which Fastify reads them.
 */
export function clientAddress(request: IncomingMessage, trust: TrustProxy): string {
  const { remoteAddress = '' } = request.socket;
  // Fast path for the common case: no proxy.
  if (!trust(remoteAddress, 0)) return remoteAddress;
  const { headers } = request;
  const forwarded = headers['x-forwarded-for'];
  if (typeof forwarded === 'string' && !/^[\d.]+$/.test(forwarded)) {
    headers['x-forwarded-for'] = forwarded.split(',').map(bareAddress).join(', ');
  }
  const address = forwardedAddress(request, trust);
  if (forwarded !== undefined && isIP(address) === 0) trust.onUnreadable?.();
  return address;
}

/**
 * Returns an entry of X-Forwarded-For as an IP address. Proxies also write `192.0.2.1:50123`, `[2001:db8::1]`,
 * `[2001:db8::1]:443`, or a whole element of `Forwarded` (RFC 7239 §6): `for="[2001:db8::1]:443";proto=https`. An entry
 * that cannot be parsed is returned unchanged.
 */
function bareAddress(entry: string): string {
  const text = entry
    .replace(/^\s*for\s*=/i, '')
    .replace(/;.*$/s, '')
    .replaceAll('"', '')
    .trim();
  const address = /^\[(.*)\](?::[\w.-]+)?$/.exec(text)?.[1] ?? /^([\d.]+):[\w.-]+$/.exec(text)?.[1];
  if (isIP(text) !== 0) return text;
  return address !== undefined && isIP(address) !== 0 ? address : entry.trim();
}

/** Groups of an IPv6 address that identify one customer, who can choose all other bits freely. */
const IPV6_PREFIX_GROUPS = 4;

/**
 * Returns the key under which limits count an address: an IPv4 address itself, also if it is mapped into IPv6, or the
 * /64 of an IPv6 address. All texts that are not IP addresses have the same key.
 */
export function addressKey(address: string): string {
  // Fast path for the common case.
  if (isIPv4(address)) return address;
  if (!ipaddr.isValid(address)) return 'unknown';
  const parsed = ipaddr.parse(address);
  if (parsed instanceof ipaddr.IPv4) return parsed.toString();
  if (parsed.isIPv4MappedAddress()) return parsed.toIPv4Address().toString();
  return parsed.parts
    .slice(0, IPV6_PREFIX_GROUPS)
    .map((group) => group.toString(16))
    .join(':');
}
