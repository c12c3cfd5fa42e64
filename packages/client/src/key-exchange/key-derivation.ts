// Computes the commitment, the transcript and the derived keys of a key exchange with WebCrypto. docs/key-exchange.md §3.

import { base64url, bytesOf } from '../base64url.js';

/** The protocol version, and the first field of every hash input. */
export const KEY_EXCHANGE = 'couplet1';

const CURVE = { name: 'ECDH', namedCurve: 'P-256' } as const;

type Bytes = Uint8Array<ArrayBuffer>;

/** Data that both ends have before a key is sent. */
export interface ExchangeContext {
  roomId: string;
  exchangeId: string;
  /** Certificate fingerprints of the leader and of the follower, as returned by `fingerprintsOf`. */
  leader: readonly string[];
  follower: readonly string[];
}

/** Data that both ends have once both keys are sent. */
export interface Transcript extends ExchangeContext {
  commitment: string;
  leaderKey: string;
  followerKey: string;
}

/** Values derived from the shared secret and the transcript. */
export interface Derived {
  /** Short authentication string: nine digits in three groups. */
  sas: string;
  leaderTag: string;
  followerTag: string;
  key: CryptoKey;
  /** Makes the pairing verified, once the users have compared the digits. */
  pairingKey: string;
}

export const generateKeys = (): Promise<CryptoKeyPair> =>
  crypto.subtle.generateKey(CURVE, false, ['deriveBits']);

export async function exportKey({ publicKey }: CryptoKeyPair): Promise<string> {
  return base64url(new Uint8Array(await crypto.subtle.exportKey('raw', publicKey)));
}

/** The leader's commitment to a key that it has not sent yet. */
export function commitmentTo(leaderKey: string, context: ExchangeContext): Promise<string> {
  const { roomId, exchangeId, leader, follower } = context;
  const fields = ['commit', roomId, exchangeId, leaderKey, leader.join(), follower.join()];
  return sha256(fields).then(base64url);
}

/** Rejects if the peer's key is not a point on the curve. */
export async function derive(
  privateKey: CryptoKey,
  peerKey: string,
  transcript: Transcript,
): Promise<Derived> {
  const { subtle } = crypto;
  const theirs = await subtle.importKey('raw', bytesOf(peerKey), CURVE, false, []);
  const secret = await subtle.deriveBits({ name: 'ECDH', public: theirs }, privateKey, 256);
  const { roomId, exchangeId, commitment, leaderKey, followerKey } = transcript;
  const certificates = [transcript.leader.join(), transcript.follower.join()];
  const keys = [commitment, leaderKey, followerKey];
  const salt = await sha256(['transcript', roomId, exchangeId, ...keys, ...certificates]);
  const base = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const expand = async (purpose: string): Promise<Bytes> => {
    const info = new TextEncoder().encode(`${KEY_EXCHANGE} ${purpose}`);
    return new Uint8Array(
      await subtle.deriveBits({ name: 'HKDF', hash: 'SHA-256', salt, info }, base, 256),
    );
  };
  return {
    sas: digitsOf(await expand('sas')),
    leaderTag: base64url(await expand('leader')),
    followerTag: base64url(await expand('follower')),
    pairingKey: base64url(await expand('pairing')),
    key: await subtle.importKey('raw', await expand('key'), 'HKDF', false, [
      'deriveBits',
      'deriveKey',
    ]),
  };
}

/** Hashes the fields in UTF-8, each after its length in four bytes, so that different lists never give the same bytes. */
async function sha256(fields: readonly string[]): Promise<Bytes> {
  const parts = [KEY_EXCHANGE, ...fields].map((field) => new TextEncoder().encode(field));
  const bytes = new Uint8Array(parts.reduce((length, part) => length + 4 + part.length, 0));
  let at = 0;
  for (const part of parts) {
    new DataView(bytes.buffer).setUint32(at, part.length);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
}

function digitsOf(bytes: Bytes): string {
  const number = new DataView(bytes.buffer).getBigUint64(0) % 1_000_000_000n;
  return String(number)
    .padStart(9, '0')
    .replace(/\d{3}(?=\d)/g, '$& ');
}
