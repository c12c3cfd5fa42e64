// Reads from a session description which peer made it.

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
 * Equal for all descriptions of one RTCPeerConnection. Only the certificates count: some implementations write another
 * session id into the line `o=` of each description.
 */
export const identityOf = (sdp: string): string => fingerprintsOf(sdp).join();
