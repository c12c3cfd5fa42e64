// Pins the peer's certificate after a key exchange (docs/key-exchange.md §5). Kept apart from the session, so that only
// applications that exchange keys load it.
import type { Pin } from '../session/negotiation.js';
import { fingerprintsOf } from '../session/peer-identity.js';

export class CertificatePin implements Pin {
  /** Fingerprints in the remote description that was applied last. */
  readonly fingerprints: readonly string[];
  /** The certificate in DER. Undefined before `verify`, and if the platform does not expose it. */
  #certificate: string | undefined;

  constructor(pc: RTCPeerConnection) {
    this.fingerprints = fingerprintsOf(pc.remoteDescription?.sdp ?? '');
  }

  /** Whether the certificate in use matches the descriptions. Afterwards no other certificate is accepted. */
  async verify(pc: RTCPeerConnection): Promise<boolean> {
    const [inUse] = certificatesOf(pc);
    if (inUse !== undefined) {
      this.#certificate = inUse;
      const matches = this.fingerprints.map((fingerprint) => isOf(inUse, fingerprint));
      if (!(await Promise.all(matches)).includes(true)) return false;
    }
    return this.holds(pc);
  }

  holds(pc: RTCPeerConnection): boolean {
    const { remoteDescription } = pc;
    return (
      (remoteDescription === null || this.admits(remoteDescription.sdp)) &&
      certificatesOf(pc).every((certificate) => certificate === this.#certificate)
    );
  }

  admits(sdp: string): boolean {
    const lines = sdp.replace(/[\r\n]+$/, '').split(/\r?\n/);
    return (
      lines.every(isStrict) &&
      hasOneTransport(lines) &&
      fingerprintsOf(sdp).join() === this.fingerprints.join()
    );
  }
}

/** The certificate that the peer presented on each transport whose DTLS handshake is complete. */
function certificatesOf(pc: RTCPeerConnection): string[] {
  const users = [...(pc.getSenders?.() ?? []), ...(pc.getReceivers?.() ?? [])];
  const transports = new Set([pc.sctp?.transport, ...users.map(({ transport }) => transport)]);
  return [...transports].flatMap((transport) => {
    const [certificate] = transport?.getRemoteCertificates?.() ?? [];
    return certificate ? String.fromCharCode(...new Uint8Array(certificate)) : [];
  });
}

async function isOf(certificate: string, fingerprint: string): Promise<boolean> {
  const [hash = '', value] = fingerprint.split(' ');
  const bytes = Uint8Array.from(certificate, (char) => char.charCodeAt(0));
  try {
    const digest = new Uint8Array(await crypto.subtle.digest(hash, bytes));
    return value === Array.from(digest, hex).join(':');
  } catch {
    // WebCrypto lacks this hash function: another fingerprint must match.
    return false;
  }
}

const hex = (byte: number): string => byte.toString(16).toUpperCase().padStart(2, '0');

/**
 * Whether every SDP parser reads this line the same way: `type=value` without control characters, an attribute whose name
 * is a token (RFC 8866 §9), and a fingerprint exactly as in RFC 8122 §5. Firefox also accepts a fingerprint after a tab,
 * in capitals, or after extra spaces and colons.
 */
const isStrict = (line: string): boolean =>
  !/\p{Cc}/u.test(line) &&
  (/^[b-z]=/.test(line) ||
    /^a=(?!fingerprint)[\w!#-'*+.^`{|}~-]+(:|$)/i.test(line) ||
    /^a=fingerprint:[\w-]+ [\dA-Fa-f:]+$/.test(line));

/** Whether all accepted sections are in one BUNDLE group (RFC 9143). Sections outside could have other certificates. */
function hasOneTransport(lines: readonly string[]): boolean {
  const sections: string[][] = [[]];
  for (const line of lines) {
    if (line.startsWith('m=')) sections.push([]);
    sections.at(-1)?.push(line);
  }
  const [session = [], ...media] = sections;
  const open = media.filter(
    (section) => !/^m=\S+ 0 /.test(section[0] ?? '') || section.includes('a=bundle-only'),
  );
  if (open.length < 2) return true;
  const groups = session.filter((line) => /^a=group:BUNDLE/i.test(line));
  const bundled = groups.join().split(' ').slice(1);
  const mids = open.flatMap((section) => section.filter((line) => line.startsWith('a=mid:')));
  return (
    groups.length === 1 &&
    mids.length === open.length &&
    new Set(mids).size === mids.length &&
    mids.every((mid) => bundled.includes(mid.slice('a=mid:'.length)))
  );
}
