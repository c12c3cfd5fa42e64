// Identifies the peer connection that a session description comes from.

/**
 * The certificate fingerprints of a description: `hash VALUE` of each `a=fingerprint` line (RFC 8122 §5), sorted and
 * without duplicates.
 */
export function fingerprintsOf(sdp: string): string[] {
  const all = Array.from(
    sdp.matchAll(/^a=fingerprint:(\S+) (\S+)/gim),
    ([, hash, value]) => `${hash?.toLowerCase()} ${value?.toUpperCase()}`,
  );
  return [...new Set(all)].sort();
}

/**
 * Returns the same text for all descriptions of one RTCPeerConnection. It uses the certificates only, because some
 * implementations change the session id in the `o=` line of each description.
 */
export const identityOf = (sdp = ''): string => fingerprintsOf(sdp).join();
