// Reads from a session description which peer made it.

/**
 * The certificates that a description binds its connection to: `hash VALUE` of each line `a=fingerprint` (RFC 8122 §5),
 * each once, sorted.
 */
export function fingerprintsOf(sdp: string): string[] {
  const all = Array.from(
    sdp.matchAll(/^a=fingerprint:(\S+) (\S+)/gim),
    ([, hash, value]) => `${hash?.toLowerCase()} ${value?.toUpperCase()}`,
  );
  return [...new Set(all)].sort();
}

/**
 * Equal for all descriptions of one RTCPeerConnection. Only the certificates count: some implementations write another
 * session id into the line `o=` of each description.
 */
export const identityOf = (sdp = ''): string => fingerprintsOf(sdp).join();
