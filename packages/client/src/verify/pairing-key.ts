// Derives the pairing key, and authenticates messages with it (docs/key-exchange.md §9).
import { base64url, bytesOf } from '../base64url.js';
import { lvCat, utf8 } from './cpace.js';

type Bytes = Uint8Array<ArrayBuffer>;

export const PROTOCOL = 'couplet-cpace1';

/** The two ends of a pairing: `a` accepted the code, `b` created it. After a comparison: the leader and the follower. */
export type Role = 'a' | 'b';

/** Derives 32 bytes from the session key of CPace. */
export const pairingKeyOf = (sessionKey: Bytes): Promise<Bytes> =>
  derived(sessionKey, 'pairing', 256);

/** Authenticates messages in both directions. Each direction has its own key, so that no message can be reflected. */
export class Authenticator {
  readonly #sending: CryptoKey;
  readonly #receiving: CryptoKey;
  readonly #roomId: string;

  private constructor(sending: CryptoKey, receiving: CryptoKey, roomId: string) {
    this.#sending = sending;
    this.#receiving = receiving;
    this.#roomId = roomId;
  }

  static async of(pairingKey: Bytes, role: Role, roomId: string): Promise<Authenticator> {
    const [a, b] = await Promise.all([macKey(pairingKey, 'a'), macKey(pairingKey, 'b')]);
    return role === 'a' ? new Authenticator(a, b, roomId) : new Authenticator(b, a, roomId);
  }

  /** Returns the MAC of a message from this end. */
  async sign(...fields: string[]): Promise<string> {
    const mac = await crypto.subtle.sign('HMAC', this.#sending, this.#bytes(fields));
    return base64url(new Uint8Array(mac));
  }

  /** Whether the message is from the other end. */
  async verify(mac: unknown, ...fields: string[]): Promise<boolean> {
    if (typeof mac !== 'string') return false;
    try {
      const bytes = this.#bytes(fields);
      return await crypto.subtle.verify('HMAC', this.#receiving, bytesOf(mac), bytes);
    } catch {
      // The MAC is not base64url.
      return false;
    }
  }

  #bytes(fields: string[]): Bytes {
    return lvCat(...[this.#roomId, ...fields].map(utf8));
  }
}

async function macKey(pairingKey: Bytes, role: Role): Promise<CryptoKey> {
  const hmac = { name: 'HMAC', hash: 'SHA-512' };
  const bytes = await derived(pairingKey, role, 512);
  return crypto.subtle.importKey('raw', bytes, hmac, false, ['sign', 'verify']);
}

/** HKDF (RFC 5869) with SHA-512 and without a salt. */
async function derived(secret: Bytes, purpose: string, bits: number): Promise<Bytes> {
  const { subtle } = crypto;
  const key = await subtle.importKey('raw', secret, 'HKDF', false, ['deriveBits']);
  const info = utf8(`${PROTOCOL} ${purpose}`);
  const hkdf = { name: 'HKDF', hash: 'SHA-512', salt: new Uint8Array(), info };
  return new Uint8Array(await subtle.deriveBits(hkdf, key, bits));
}
