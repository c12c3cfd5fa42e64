// Detects addresses that are not reachable from outside: private, loopback, link-local, shared (RFC 6890).
import { BlockList, isIPv6 } from 'node:net';

const inner = new BlockList();
for (const [net, prefix] of [
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
] as const) {
  inner.addSubnet(net, prefix, 'ipv4');
}
inner.addAddress('::1', 'ipv6');
inner.addSubnet('fc00::', 7, 'ipv6');
inner.addSubnet('fe80::', 10, 'ipv6');

export const isPrivate = (ip: string): boolean => inner.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4');

/** Formats `address:port`, with an IPv6 address in brackets. */
export const withPort = ({ ip, port }: { ip: string; port: number }): string =>
  isIPv6(ip) ? `[${ip}]:${port}` : `${ip}:${port}`;
