// Tests the identity of a description, which depends only on its certificates.
import { expect, test } from 'vitest';
import { fingerprintsOf, identityOf } from '../../src/session/peer-identity.js';

const sdp = (session: string, version: number, ...fingerprints: string[]) =>
  ['v=0', `o=- ${session} ${version} IN IP4 127.0.0.1`, 's=-']
    .concat(fingerprints.flatMap((one) => ['m=application 9', `a=fingerprint:${one}`]))
    .join('\r\n');

test('each certificate is listed once, normalized and sorted', () => {
  const text = sdp('1', 1, 'SHA-256 bb:01', 'sha-256 BB:01', 'sha-1 AA:02');
  expect(fingerprintsOf(text)).toEqual(['sha-1 AA:02', 'sha-256 BB:01']);
  expect(fingerprintsOf('v=0')).toEqual([]);
});

test('a later description of the same connection has the same identity; one with another certificate has not', () => {
  const first = identityOf(sdp('1', 1, 'sha-256 AA'));
  expect(identityOf(sdp('1', 2, 'sha-256 AA', 'sha-256 aa'))).toBe(first);
  expect(identityOf(sdp('2', 1, 'sha-256 AA'))).toBe(first);
  expect(identityOf(sdp('1', 2, 'sha-256 BB'))).not.toBe(first);
  expect(identityOf(sdp('1', 2, 'sha-256 AA', 'sha-256 BB'))).not.toBe(first);
});
