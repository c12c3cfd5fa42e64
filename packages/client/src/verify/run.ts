// Implements one run of CPace between the two devices of a pairing: the shares, and the pairing key that results.
// docs/key-exchange.md §9.
import { base64url, bytesOf } from '../base64url.js';
import type { Secrets } from './code.js';
import { type CpaceInput, generator, lvCat, multiply, scalar, sessionKey, utf8 } from './cpace.js';
import { PROTOCOL, pairingKeyOf, type Role } from './pairing-key.js';

/** The identity and the secrets of this end. */
export interface RunOptions {
  role: Role;
  roomId: string;
  deviceId: string;
  /** End `a` has one secret. End `b` has both, and takes the one that `a` names. */
  secrets: Partial<Secrets>;
}

/** A share as it is sent. */
export interface SentShare {
  kind: string;
  /** The public share, in base64url. */
  share: string;
  /** The id of the sender's device, in base64url. */
  device: string;
}

/** One end of a run. The scalar is used for one peer share only, so an attacker has one guess. */
export class Run {
  readonly #options: RunOptions;
  #scalar: CryptoKey | undefined;
  #input: CpaceInput | undefined;
  #own: SentShare | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
  }

  /** Returns the share of this end; every call returns the same. End `b` uses the kind that the share of `a` names. */
  async share(kind: string): Promise<SentShare> {
    if (this.#own) return this.#own;
    const { secrets, roomId, deviceId } = this.#options;
    const password = kind === 'code' || kind === 'link' ? secrets[kind] : undefined;
    if (password === undefined) throw new Error('no such secret');
    this.#input = {
      password,
      channel: lvCat(utf8(PROTOCOL), utf8(kind)),
      session: utf8(roomId),
    };
    this.#scalar = await scalar();
    const share = await multiply(this.#scalar, await generator(this.#input));
    this.#own = { kind, share: base64url(share), device: base64url(utf8(deviceId)) };
    return this.#own;
  }

  /** Returns the pairing key. Rejects if the peer's share is invalid, or a share was taken before. */
  async take(theirs: SentShare): Promise<Uint8Array<ArrayBuffer>> {
    const own = await this.share(theirs.kind);
    const [key, input] = [this.#scalar, this.#input];
    this.#scalar = undefined;
    if (!key || !input || own.kind !== theirs.kind) throw new Error('not this run');
    const secret = await multiply(key, bytesOf(theirs.share));
    const [a, b] = this.#options.role === 'a' ? [own, theirs] : [theirs, own];
    return pairingKeyOf(
      await sessionKey(input, secret, shareOf(a, 'accepter'), shareOf(b, 'inviter')),
    );
  }
}

/** The associated data of a share are the role and the device of its sender. */
const shareOf = ({ share, device }: SentShare, role: string) => ({
  key: bytesOf(share),
  associated: lvCat(utf8(role), bytesOf(device)),
});
