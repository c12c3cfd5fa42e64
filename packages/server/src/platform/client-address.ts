// Who a request comes from: the socket's address, or what trusted proxies say; and the key under which limits count it.
import type { IncomingMessage } from 'node:http';
import { isIPv4 } from 'node:net';
import proxyAddress from '@fastify/proxy-addr';
import type { FastifyInstance } from 'fastify';
import ipaddr from 'ipaddr.js';
import type { Config } from './config.js';
import { type CrossCheck, crossCheckOf } from './cross-check.js';
import type { Logger } from './logger.js';

/** Whether the proxy at this address, `hop` steps from us, is to be believed. */
export type TrustProxy = (address: string, hop: number) => boolean;

/** Reads TRUST_PROXY: empty for none, a number of hops, or addresses and ranges. */
export function trustProxy(config: Pick<Config, 'trustProxy'>): TrustProxy {
  const text = config.trustProxy;
  if (text === '') return () => false;
  if (/^\d+$/.test(text)) return (_address, hop) => hop < Number(text);
  return proxyAddress.compile(text.split(/\s*,\s*/));
}

/** Reads TRUST_PROXY as {@link trustProxy} does. */
export const TRUST_PROXY_CHECKS: readonly CrossCheck[] = [
  crossCheckOf<{ trustProxy: string }>()(['trustProxy'], (settings) => {
    try {
      trustProxy(settings);
      return undefined;
    } catch {
      return 'TRUST_PROXY: must be a number of hops, or IP addresses and ranges, comma-separated';
    }
  }),
];

/** The client's address: the first one, seen from us, that no trusted proxy stands for. */
export function clientAddress(request: IncomingMessage, trust: TrustProxy): string {
  const { remoteAddress = '' } = request.socket;
  // The common case, and each connection asks: nobody stands between.
  return trust(remoteAddress, 0) ? proxyAddress(request, trust) : remoteAddress;
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
 * Says once in the log that a proxy's word is not believed: without TRUST_PROXY all who come through it count as one
 * address, and share its limits.
 */
export function warnOfUntrustedProxies(
  app: FastifyInstance,
  config: Pick<Config, 'trustProxy'>,
  log: Logger,
): void {
  if (config.trustProxy !== '') return;
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
