// Who a session description is of: read from its lines, as the two ends of a connection must agree on it.

/**
 * The certificates that a description binds its connection to: `hash VALUE` of each line `a=fingerprint` (RFC 8122 §5),
 * each once, sorted.
 */
export function fingerprintsOf(sdp: string): string[] {
  const found = sdp.matchAll(/^a=fingerprint:(\S+) (\S+)/gim);
  const all = Array.from(found, ([, hash = '', value = '']) => {
    return `${hash.toLowerCase()} ${value.toUpperCase()}`;
  });
  return [...new Set(all)].sort();
}

/**
 * The same for every description of one RTCPeerConnection, for its whole life, and for no other's: the session id of the
 * line `o=` (RFC 8866 §5.2, RFC 9429 §5.2.1), and the certificates. Without these, a server could slip its own into a
 * connection that the users have verified.
 */
export function identityOf(sdp: string): string {
  return [/^o=\S+ (\S+)/m.exec(sdp)?.[1], ...fingerprintsOf(sdp)].join();
}
