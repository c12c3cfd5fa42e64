// Who a request comes from: the socket's address, or what trusted proxies say; and the key under which limits count it.
import type { IncomingMessage } from 'node:http';
import { isIP, isIPv4 } from 'node:net';
import type { FastifyInstance } from 'fastify';
import ipaddr from 'ipaddr.js';
import type { Logger } from '../observability/logger.js';
import type { Config } from '../settings/config.js';
import { forwardedAddress, type ProxyRule, proxyRule } from '../settings/trust-proxy.js';

/** Whether a proxy is trusted, and what to do about what it writes. */
export interface TrustProxy extends ProxyRule {
  /** Called for each client whose address a trusted proxy wrote in a form that cannot be read. */
  onUnreadable?: () => void;
}

/** Makes the rule of TRUST_PROXY, with a warning for the first address that cannot be read. */
export function trustProxy(config: Pick<Config, 'trustProxy'>, log?: Logger): TrustProxy {
  const rule = proxyRule(config);
  const trust: TrustProxy = (address, hop) => rule(address, hop);
  let warned = false;
  trust.onUnreadable = () => {
    if (warned || log === undefined) return;
    warned = true;
    log.warn(
      'X-Forwarded-For of a trusted proxy has an entry that is no IP address: all such clients share the limits of one address',
    );
  };
  return trust;
}

/**
 * The client's address: the first one, seen from us, that no trusted proxy stands for. Addresses in X-Forwarded-For of a
 * trusted proxy lose port, brackets and quotes, in the request too, where Fastify reads them.
 */
export function clientAddress(request: IncomingMessage, trust: TrustProxy): string {
  const { remoteAddress = '' } = request.socket;
  // The common case, and each connection asks: nobody stands between.
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
 * An entry of X-Forwarded-For as an IP address. Proxies also write `192.0.2.1:50123`, `[2001:db8::1]`, `[2001:db8::1]:443`,
 * or a whole element of `Forwarded` (RFC 7239 §6): `for="[2001:db8::1]:443";proto=https`. What cannot be read stays as it is.
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

/** Bits of an IPv6 address that name one customer, who has all the rest to draw addresses from. */
const IPV6_PREFIX_GROUPS = 4;

/**
 * What limits count an address as: IPv4 by itself, also where it comes mapped into IPv6; IPv6 by its /64. What is no
 * address at all, a proxy's invention, counts as one and the same.
 */
export function addressKey(address: string): string {
  // The common case, and each request asks.
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

/**
 * Has `request.ip` read X-Forwarded-For as {@link clientAddress} does. Without TRUST_PROXY, warns once where that header
 * arrives: all clients of the proxy then count as one address, and share its limits.
 */
export function readForwardedAddresses(
  app: FastifyInstance,
  config: Pick<Config, 'trustProxy'>,
  trust: TrustProxy,
  log: Logger,
): void {
  if (config.trustProxy !== '') {
    app.addHook('onRequest', (request, _reply, done) => {
      clientAddress(request.raw, trust);
      done();
    });
    return;
  }
  let warned = false;
  app.addHook('onRequest', (request, _reply, done) => {
    done();
    if (warned || request.headers['x-forwarded-for'] === undefined) return;
    warned = true;
    log.warn(
      'X-Forwarded-For arrives, but TRUST_PROXY is not set: all clients of that proxy share the limits of one address',
    );
  });
}
