// Device secrets: what a device proves itself with in one pairing. Only their digests are kept. docs/protocol.md §3.
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { DEVICE_SECRET_LENGTH } from '@couplet/protocol';

/** What is kept of the secret of one device in one pairing. */
export interface DeviceSecret {
  /** SHA-256 of the secret, in base64url. */
  hash: string;
  /** Whether the device has sent its secret; from then on it must. */
  isProved: boolean;
}

/** Two paired devices. A device without a secret was paired by an older version, and cannot prove anything. */
export interface PairedSecrets {
  client1: string;
  client2: string;
  secret1?: DeviceSecret | undefined;
  secret2?: DeviceSecret | undefined;
}

/** A new secret: 256 random bits in base64url. */
export const newDeviceSecret = (): string =>
  randomBytes(Math.floor((DEVICE_SECRET_LENGTH * 3) / 4)).toString('base64url');

/** What is kept of a secret. It needs no salt and no slow function: nobody searches through 256 random bits. */
export const secretHash = (secret: string): string =>
  createHash('sha256').update(secret).digest('base64url');

/** Compares a secret with what is kept of one, in constant time. */
export function isSecret(secret: string, { hash }: Pick<DeviceSecret, 'hash'>): boolean {
  const given = Buffer.from(secretHash(secret));
  const kept = Buffer.from(hash);
  return given.length === kept.length && timingSafeEqual(given, kept);
}

/**
 * What a request is, that names a device of a pairing and may bring a secret:
 *
 * - `proved`: the device; `isNew`: it has not proved itself before
 * - `unproved`: perhaps the device, which has never sent its secret
 * - `stranger`: names no device of the pairing, and brings no secret
 * - `refused`: a wrong secret, or none of a device that has proved itself before
 */
export type Claim =
  | { kind: 'proved'; isNew: boolean }
  | { kind: 'unproved' | 'stranger' | 'refused' };

/** Judges a claim to be a device of a pairing. Without any secret in the pairing, the one that is sent is ignored. */
export function judgeClaim(
  pair: PairedSecrets,
  deviceId: string | null,
  secret: string | undefined,
): Claim {
  const isFirst = deviceId === pair.client1;
  const isDevice = isFirst || deviceId === pair.client2;
  const kept = isFirst ? pair.secret1 : pair.secret2;
  if (!isDevice) {
    const isUnknown = secret !== undefined && (pair.secret1 ?? pair.secret2) !== undefined;
    return { kind: isUnknown ? 'refused' : 'stranger' };
  }
  if (kept === undefined) return { kind: 'unproved' };
  if (secret === undefined) return { kind: kept.isProved ? 'refused' : 'unproved' };
  return isSecret(secret, kept) ? { kind: 'proved', isNew: !kept.isProved } : { kind: 'refused' };
}

/** Secrets that a request brings to delete with. */
export interface DeleteProofs {
  readonly secrets: readonly string[];
  /** Whether nothing is deleted without a secret (REQUIRE_DEVICE_SECRETS). */
  readonly isRequired: boolean;
}

/** Decides about deletions: of a pairing in which a device has proved itself, only for a secret of one of its two. */
export class DeleteRule {
  readonly #hashes: ReadonlySet<string>;
  readonly isRequired: boolean;

  constructor({ secrets, isRequired }: DeleteProofs) {
    // A lookup by digest takes no time that tells anything of a secret.
    this.#hashes = new Set(secrets.map(secretHash));
    this.isRequired = isRequired;
  }

  /** Whether a secret of one of these devices was sent. */
  isProvedBy(...kept: readonly (Pick<DeviceSecret, 'hash'> | undefined)[]): boolean {
    return kept.some((secret) => secret !== undefined && this.#hashes.has(secret.hash));
  }

  /** Whether a pairing of devices with these secrets may be deleted. */
  allows(...kept: readonly (DeviceSecret | undefined)[]): boolean {
    if (this.isProvedBy(...kept)) return true;
    return !this.isRequired && !kept.some((secret) => secret?.isProved);
  }
}

/** Whether one pairing may be deleted. A secret that is of neither of its devices is a fault of its own. */
export function mayDelete(
  { secret1, secret2 }: Pick<PairedSecrets, 'secret1' | 'secret2'>,
  proofs: DeleteProofs,
): boolean {
  const rule = new DeleteRule(proofs);
  const isWrong = proofs.secrets.length > 0 && (secret1 ?? secret2) !== undefined;
  return rule.isProvedBy(secret1, secret2) || (!isWrong && rule.allows(secret1, secret2));
}

/** No secret, and none wanted. */
export const NO_PROOFS: DeleteProofs = { secrets: [], isRequired: false };
