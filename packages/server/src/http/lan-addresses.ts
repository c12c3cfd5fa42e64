// Finds the addresses at which other devices of the local network reach this server.
import { isIPv6, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';

/** Bridges and tunnels, whose addresses other devices cannot reach. */
const VIRTUAL =
  /^(docker|br-|veth|virbr|vmnet|vboxnet|vEthernet|utun|tun|tap|wg|zt|tailscale|lxc|cni|flannel|podman)/i;
/** Addresses of private networks (RFC 1918). */
const PRIVATE = /^(192\.168\.|10\.|172\.(1[6-9]|2\d|3[01])\.)/;
const LOOPBACK_OR_LINK_LOCAL = /^(127\.|169\.254\.|::1$)/;

/** The IPv4 addresses for a server that listens on `bound`, those of private networks first. Empty if only this machine reaches it. */
export function lanAddresses(bound: string, interfaces = networkInterfaces()): string[] {
  if (bound !== '0.0.0.0' && bound !== '::') {
    return LOOPBACK_OR_LINK_LOCAL.test(bound) ? [] : [bound];
  }
  const addresses = Object.entries(interfaces)
    .filter(([name]) => !VIRTUAL.test(name))
    .flatMap(([, list = []]) => list)
    .filter(({ family, address }) => family === 'IPv4' && !LOOPBACK_OR_LINK_LOCAL.test(address))
    .map(({ address }) => address);
  return addresses.sort((a, b) => Number(PRIVATE.test(b)) - Number(PRIVATE.test(a)));
}

/** The origins of a server at those addresses. Empty while it does not listen. */
export function lanOrigins(scheme: 'http' | 'https', server: Server | undefined): string[] {
  const bound = server?.address();
  if (!bound || typeof bound === 'string') return [];
  return lanAddresses(bound.address).map(
    (host) => new URL(`${scheme}://${isIPv6(host) ? `[${host}]` : host}:${bound.port}`).origin,
  );
}
