// Formats an ICE candidate for people (RFC 8839 §5.1).

export interface ReadableCandidate {
  kind: string;
  protocol: string;
  address: string;
}

const KINDS: Readonly<Record<string, string>> = {
  host: 'own address',
  srflx: 'address seen from outside',
  prflx: 'address seen by the other side',
  relay: 'relay',
};

/** Returns undefined if the text is not a candidate, such as the end of candidates. */
export function readable(line: string): ReadableCandidate | undefined {
  const match = /^candidate:\S+ \d+ (\S+) \d+ (\S+) (\d+) typ (\w+)/.exec(line);
  const [, protocol = '', address = '', port = '', type = ''] = match ?? [];
  if (match === null) return undefined;
  return {
    kind: KINDS[type] ?? type,
    protocol: protocol.toUpperCase(),
    address: `${shortened(address)}:${port}`,
  };
}

/** Shortens mDNS names and IPv6 addresses, which are too long for a table. */
function shortened(address: string): string {
  // Chromium uses this name for an address that it hides from the page.
  if (address === 'redacted-ip.invalid') return '(hidden)';
  if (address.endsWith('.local')) return `${address.slice(0, 8)}….local`;
  if (!address.includes(':')) return address;
  return `[${address.length > 20 ? `${address.slice(0, 9)}…${address.slice(-7)}` : address}]`;
}
