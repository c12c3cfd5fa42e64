// Tests the descriptions that a certificate pin admits, as written by real implementations, and refuses.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { RTCPeerConnection as WeriftConnection } from 'werift';
import { CertificatePin } from '../../src/key-exchange/certificate-pin.js';

const VERIFIED = 'AB:CD:EF:01';
const OTHER = '11:22:33:44';

const connection = (sdp: string) => ({ remoteDescription: { sdp } }) as RTCPeerConnection;

const pinOf = (sdp: string) => new CertificatePin(connection(sdp));

const lines = (...all: string[]) => all.map((line) => `${line}\r\n`).join('');
const START = ['v=0', 'o=- 4611731400430051336 2 IN IP4 127.0.0.1', 's=-', 't=0 0'];
const DATA = 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel';
const FINGERPRINT = `a=fingerprint:sha-256 ${VERIFIED}`;

/** A description with two sections and additional lines. */
const offer = ({
  session = ['a=group:BUNDLE 0 1'],
  audio = 'm=audio 9 UDP/TLS/RTP/SAVPF 111',
  first = [FINGERPRINT],
  second = [FINGERPRINT],
  mids = ['a=mid:0', 'a=mid:1'],
}: {
  session?: string[];
  audio?: string;
  first?: string[];
  second?: string[];
  mids?: string[];
} = {}) =>
  lines(
    ...START,
    ...session,
    ...[audio, 'c=IN IP4 0.0.0.0', ...first, 'a=setup:actpass', mids[0] ?? ''].filter(Boolean),
    ...[DATA, 'c=IN IP4 0.0.0.0', ...second, 'a=setup:actpass', mids[1] ?? ''].filter(Boolean),
  );

const honest: Record<string, string> = {
  'Chromium and Safari: a fingerprint in each section': offer(),
  'sections with names, tokens of every kind, values with spaces': lines(
    ...START,
    'a=group:BUNDLE audio data',
    'a=extmap-allow-mixed',
    'a=msid-semantic: WMS *',
    'm=audio 53171 UDP/TLS/RTP/SAVPF 111 63',
    'c=IN IP4 192.0.2.5',
    'b=AS:30',
    'a=rtcp:9 IN IP4 0.0.0.0',
    'a=candidate:1 1 udp 2113937151 fd00::2 53171 typ host generation 0 network-cost 999',
    'a=ice-options:trickle renomination',
    FINGERPRINT,
    'a=mid:audio',
    'a=extmap:2/recvonly urn:ietf:params:rtp-hdrext:csrc-audio-level',
    'a=rtcp-fb:111 transport-cc ',
    'a=fmtp:111 minptime=10; useinbandfec=1',
    'a=x-google-flag:conference',
    'a=ssrc:1 cname:{ceb23311-7357}',
    'a=msid:Küche 1',
    DATA,
    'a=mid:data',
    FINGERPRINT,
  ),
  'Firefox and Pion: one fingerprint for the session, and a section that is only bundled': offer({
    session: [FINGERPRINT, 'a=group:BUNDLE 0 1'],
    audio: 'm=audio 0 UDP/TLS/RTP/SAVPF 109',
    first: ['a=bundle-only'],
    second: [],
  }),
  'a section that is rejected, outside of the group': offer({
    session: ['a=group:BUNDLE 1'],
    audio: 'm=audio 0 UDP/TLS/RTP/SAVPF 111',
    first: ['a=inactive'],
  }),
  'a single section without a group': lines(...START, DATA, FINGERPRINT),
  'the hash in capitals, the digits in lower case': offer({
    first: [`a=fingerprint:SHA-256 ${VERIFIED.toLowerCase()}`],
  }),
  'lines that end without CR, and an empty last one': `${offer().replaceAll('\r', '')}\n`,
};

test.each(Object.entries(honest))('%s', (_title, sdp) => {
  expect(pinOf(offer()).admits(sdp)).toBe(true);
});

test('several fingerprints are admitted in any order, if all stay the same', () => {
  const both = offer({ first: [FINGERPRINT, 'a=fingerprint:sha-1 AA:BB'] });
  const other = offer({ first: ['a=fingerprint:sha-1 AA:BB', FINGERPRINT] });
  expect([pinOf(both).admits(both), pinOf(both).admits(other)]).toEqual([true, true]);
  expect(pinOf(both).admits(offer())).toBe(false);
  expect(pinOf(offer()).admits(both)).toBe(false);
});

test('werift: offer and answer', async () => {
  const [one, other] = [new WeriftConnection(), new WeriftConnection()];
  one.createDataChannel('data');
  one.addTransceiver('audio');
  one.addTransceiver('video');
  await one.setLocalDescription(await one.createOffer());
  await other.setRemoteDescription({ type: 'offer', sdp: one.localDescription?.sdp ?? '' });
  await other.setLocalDescription(await other.createAnswer());
  for (const { localDescription, remoteDescription } of [one, other]) {
    for (const description of [localDescription, remoteDescription]) {
      const sdp = description?.sdp;
      if (sdp !== undefined) expect(pinOf(sdp).admits(sdp)).toBe(true);
    }
  }
  await Promise.all([one.close(), other.close()]);
});

const refused: Record<string, string> = {
  'no certificate': offer({ first: [], second: [] }),
  'another certificate': offer({
    first: [`a=fingerprint:sha-256 ${OTHER}`],
    second: [`a=fingerprint:sha-256 ${OTHER}`],
  }),
  'another certificate in one section': offer({ first: [`a=fingerprint:sha-256 ${OTHER}`] }),
  'another certificate beside the verified one': offer({
    first: [FINGERPRINT, `a=fingerprint:sha-256 ${OTHER}`],
  }),
  'another certificate for the session': offer({
    session: ['a=group:BUNDLE 0 1', `a=fingerprint:sha-256 ${OTHER}`],
  }),
  'a section outside of the group': offer({ session: ['a=group:BUNDLE 1'] }),
  'no group': offer({ session: [] }),
  'two groups': offer({ session: ['a=group:BUNDLE 0', 'a=group:BUNDLE 1'] }),
  'a group within a section': offer({ session: [], first: [FINGERPRINT, 'a=group:BUNDLE 0 1'] }),
  'a section without a name': offer({ mids: ['', 'a=mid:1'] }),
  'a section with two names': offer({ first: [FINGERPRINT, 'a=mid:2'] }),
  'two sections with one name': offer({ mids: ['a=mid:1', 'a=mid:1'] }),
  'an empty line': offer().replace(DATA, `\r\n${DATA}`),
  'a CR alone': offer({ first: [FINGERPRINT, `a=x:\ra=fingerprint:sha-256 ${OTHER}`] }),
  'a NUL': offer({ first: [FINGERPRINT, 'a=x:\0'] }),
  'a line of no type': offer({ first: [FINGERPRINT, 'fingerprint'] }),
  'a line that is indented': offer({ first: [FINGERPRINT, ` a=fingerprint:sha-256 ${OTHER}`] }),
  'a type in capitals': offer({ first: [FINGERPRINT, `A=fingerprint:sha-256 ${OTHER}`] }),
  'an attribute without a name': offer({ first: [FINGERPRINT, 'a=:'] }),
  ...Object.fromEntries(
    [
      `fingerprint:sha-256\t${OTHER}`,
      `fingerprint:sha-256  ${OTHER}`,
      `fingerprint: sha-256 ${OTHER}`,
      `fingerprint sha-256 ${OTHER}`,
      `fingerprint :sha-256 ${OTHER}`,
      `fingerprint\t:sha-256 ${OTHER}`,
      `FINGERPRINT:sha-256\t${OTHER}`,
      `Fingerprint:sha-256 ${VERIFIED}`,
      `:fingerprint:sha-256 ${OTHER}`,
      ` fingerprint:sha-256 ${OTHER}`,
      `fingerprints:sha-256 ${OTHER}`,
      `fingerprint:sha-256 ${VERIFIED} ${OTHER}`,
      `fingerprint:sha-256 ${VERIFIED} `,
      'fingerprint',
    ].map((form) => [JSON.stringify(form), offer({ first: [FINGERPRINT, `a=${form}`] })]),
  ),
};

test.each(Object.entries(refused))('refused: %s', (_title, sdp) => {
  const pin = pinOf(offer());
  expect(pin.admits(sdp)).toBe(false);
  // Also refused if the platform has applied it.
  expect(pin.holds(connection(sdp))).toBe(false);
});

const certificate = Uint8Array.of(1, 2, 3);
const fingerprintBy = (hash: string) => {
  const digest = createHash(hash.replace('-', '')).update(certificate).digest('hex');
  return `a=fingerprint:${hash} ${digest.replace(/..(?=.)/g, '$&:')}`;
};

test.each([
  [fingerprintBy('sha-256'), true],
  [fingerprintBy('sha-384'), true],
  [FINGERPRINT, false],
])('a certificate matches %s: %s', async (fingerprint, matches) => {
  const sdp = lines(...START, DATA, fingerprint, 'a=fingerprint:sha-999 AA');
  const sctp = { transport: { getRemoteCertificates: () => [certificate.buffer] } };
  const pc = { ...connection(sdp), sctp } as unknown as RTCPeerConnection;
  expect(await new CertificatePin(pc).verify(pc)).toBe(matches);
  // Without access to certificates, only the descriptions are checked.
  expect(await pinOf(sdp).verify(connection(sdp))).toBe(true);
});
