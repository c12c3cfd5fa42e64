// Implements CPace with X25519 and SHA-512, in the initiator-responder setting (draft-irtf-cfrg-cpace-21, suite
// CPACE-X25519-SHA512). Needs X25519 in WebCrypto.
import { mapToCurve } from './elligator2.js';

type Bytes = Uint8Array<ArrayBuffer>;

/** Input block size of SHA-512. */
const BLOCK_BYTES = 128;
const DSI = 'CPace255';

/** The inputs that are the same at both ends. */
export interface CpaceInput {
  /** The password-related string (PRS): the low-entropy secret. */
  password: string;
  /** The channel identifier (CI). */
  channel: Bytes;
  /** The session identifier (sid). */
  session: Bytes;
}

/** A public share, and the associated data of its sender (ADa or ADb). */
export interface Share {
  key: Bytes;
  associated: Bytes;
}

export const utf8 = (text: string): Bytes => new TextEncoder().encode(text);

/** Joins the fields, each after its length in LEB128, so that different lists never give the same bytes (lv_cat). */
export function lvCat(...fields: Bytes[]): Bytes {
  return joined(...fields.flatMap((field) => [leb128(field.length), field]));
}

/** Returns the generator for a password (calculate_generator, §8.2). */
export async function generator({ password, channel, session }: CpaceInput): Promise<Bytes> {
  const start = lvCat(utf8(DSI), utf8(password));
  // The padding fills the first block, so that the time to hash does not depend on the length of the password.
  const padding = new Uint8Array(Math.max(0, BLOCK_BYTES - start.length - 1));
  const digest = await sha512(joined(start, lvCat(padding, channel, session)));
  return mapToCurve(digest.subarray(0, 32));
}

/** Generates a scalar. Rejects if the platform has no X25519. */
export async function scalar(): Promise<CryptoKey> {
  const keys = await crypto.subtle.generateKey('X25519', false, ['deriveBits']);
  return (keys as CryptoKeyPair).privateKey;
}

/** Multiplies a point by a scalar (scalar_mult_vfy). Rejects if the result is the neutral element. */
export async function multiply(scalar: CryptoKey, point: Bytes): Promise<Bytes> {
  const { subtle } = crypto;
  const key = await subtle.importKey('raw', point, 'X25519', false, []);
  const product = await subtle.deriveBits({ name: 'X25519', public: key }, scalar, 256);
  const bytes = new Uint8Array(product);
  // WebCrypto should reject a point of low order itself.
  if (bytes.every((byte) => byte === 0)) throw new Error('a point of low order');
  return bytes;
}

/**
 * Returns the intermediate session key, ISK (§7.2).
 *
 * @param secret the peer's share multiplied by the scalar of this end
 */
export function sessionKey(
  { session }: CpaceInput,
  secret: Bytes,
  initiator: Share,
  responder: Share,
): Promise<Bytes> {
  const shares = [initiator, responder].map(({ key, associated }) => lvCat(key, associated));
  return sha512(joined(lvCat(utf8(`${DSI}_ISK`), session, secret), ...shares));
}

const sha512 = async (bytes: Bytes): Promise<Bytes> =>
  new Uint8Array(await crypto.subtle.digest('SHA-512', bytes));

function leb128(length: number): Bytes {
  const bytes: number[] = [];
  let left = length;
  for (; left > 127; left >>>= 7) bytes.push((left & 127) | 128);
  return Uint8Array.of(...bytes, left);
}

function joined(...parts: Bytes[]): Bytes {
  const bytes = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
