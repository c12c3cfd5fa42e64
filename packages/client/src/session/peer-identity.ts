// Identifies the peer connection that a session description comes from.

/** The `a=fingerprint` lines of a description (RFC 8122 §5), in lower case, sorted and without duplicates. */
const fingerprintLines = (sdp: string): string[] =>
  [...new Set(sdp.toLowerCase().match(/^a=fingerprint:\S+ \S+/gm))].sort();

/** The certificate fingerprints of a description: `hash VALUE` of each, sorted and without duplicates. */
export const fingerprintsOf = (sdp: string): string[] =>
  fingerprintLines(sdp).map((line) => {
    const [hash, value] = line.slice('a=fingerprint:'.length).split(' ');
    return `${hash} ${value?.toUpperCase()}`;
  });

/**
 * Returns the same text for all descriptions of one RTCPeerConnection. It uses the certificates only, because some
 * implementations change the session id in the `o=` line of each description.
 */
export const identityOf = (sdp = ''): string => fingerprintLines(sdp).join();
