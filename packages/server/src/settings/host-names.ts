// Parses ALLOWED_HOSTS, the host names of this server.
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';

export interface HostSettings {
  allowedHosts: string;
}

/** Returns the fault of the list, or undefined. */
export function hostsFault(settings: HostSettings): string | undefined {
  const faulty = listed(settings).filter((entry) => {
    const name = canonicalHost(entry);
    return isIP(name) === 0 && !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name);
  });
  if (faulty.length === 0) return undefined;
  const shown = faulty.map((entry) => JSON.stringify(entry)).join(', ');
  return `ALLOWED_HOSTS: expected host names without scheme, port, path or wildcard, got ${shown}`;
}

/** The entries of the list, unchanged. */
const listed = ({ allowedHosts }: HostSettings): string[] =>
  allowedHosts
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');

/** Returns a host name in lower case and ASCII (RFC 5890), without brackets and without the dot of the DNS root. */
export function canonicalHost(name: string): string {
  const bare = name.toLowerCase().replace(/^\[|\]$|\.$/g, '');
  return /[^\x20-\x7e]/.test(bare) ? domainToASCII(bare) : bare;
}

/** The host names of this server; empty if any name is allowed. */
export const allowedHostNames = (settings: HostSettings): ReadonlySet<string> =>
  new Set(listed(settings).map(canonicalHost));
