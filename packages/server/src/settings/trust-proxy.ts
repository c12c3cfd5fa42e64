// Parses TRUST_PROXY, the proxies in front of the server that are trusted.
import type { IncomingMessage } from 'node:http';
import proxyAddress from '@fastify/proxy-addr';

interface ProxySettings {
  trustProxy: string;
}

/** Whether the proxy at this address, `hop` steps from the server, is trusted. */
export type ProxyRule = (address: string, hop: number) => boolean;

/** Makes the rule from TRUST_PROXY: empty for no proxy, a number of hops, or addresses and ranges. */
export function proxyRule({ trustProxy: text }: ProxySettings): ProxyRule {
  if (text === '') return () => false;
  if (/^\d+$/.test(text)) return (_address, hop) => hop < Number(text);
  return proxyAddress.compile(text.split(/\s*,\s*/));
}

/** Of the socket's address and those in X-Forwarded-For, the one nearest to the server that is not a trusted proxy. */
export const forwardedAddress = (request: IncomingMessage, trusts: ProxyRule): string =>
  proxyAddress(request, trusts) ?? '';

export function trustProxyFault(settings: ProxySettings): string | undefined {
  try {
    proxyRule(settings);
    return undefined;
  } catch {
    return 'TRUST_PROXY: must be a number of hops, or IP addresses and ranges, comma-separated';
  }
}
