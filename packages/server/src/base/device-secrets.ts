// Makes and verifies device secrets, with which a device proves its identity in one pairing (docs/protocol.md §3). Only digests are stored.
import { hash, timingSafeEqual } from 'node:crypto';
import { DEVICE_SECRET_LENGTH } from '@couplet/protocol';
import { randomText } from './random-text.js';

/** The stored record of the secret of one device in one pairing. */
export interface DeviceSecret {
  /** SHA-256 of the secret, in base64url. */
  hash: string;
  /** Whether the device has sent its secret. From then on, the secret is required. */
  isProved: boolean;
}

/** Two paired devices. A device without a secret was paired by an older version and cannot prove its identity. */
export interface PairedSecrets {
  /** Device that created the join code. */
  client1: string;
  /** Device that accepted it. */
  client2: string;
  secret1?: DeviceSecret | undefined;
  secret2?: DeviceSecret | undefined;
}

/** A new secret: 256 random bits in base64url. */
export const newDeviceSecret = (): string =>
  randomText(Math.floor((DEVICE_SECRET_LENGTH * 3) / 4), 'base64url');

/** The digest of a secret. Neither a salt nor a slow function is needed, because 256 random bits cannot be searched. */
export const secretHash = (secret: string): string => hash('sha256', secret, 'base64url');

/** Compares a secret with a stored digest in constant time. */
export function isSecret(secret: string, digest: Pick<DeviceSecret, 'hash'>): boolean {
  const given = Buffer.from(secretHash(secret));
  const kept = Buffer.from(digest.hash);
  return given.length === kept.length && timingSafeEqual(given, kept);
}

/**
 * Classifies a request by its device id and its secret:
 *
 * - `proved`: a device of the pairing with its secret; `isNew` if it sends the secret for the first time
 * - `unproved`: names a device without a stored secret, or one that has never sent its secret and does not send it now
 * - `stranger`: names no device of the pairing, and has no secret
 * - `refused`: has a wrong secret, or no secret although the device has sent it before
 */
export type Claim =
  | { kind: 'proved'; isNew: boolean }
  | { kind: 'unproved' | 'stranger' | 'refused' };

/** Classifies a claim to be a device of a pairing. If the pairing has no secrets, a secret in the request is ignored. */
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

/** The secrets in a request to delete. */
export interface DeleteProofs {
  readonly secrets: readonly string[];
  /** Whether every deletion needs a secret (REQUIRE_DEVICE_SECRETS). */
  readonly isRequired: boolean;
}

/**
 * Returns a function that decides whether a pairing with these secrets may be deleted. If a device of the pairing has sent
 * its secret, one of the two secrets is required.
 */
export function deleteRule({ secrets, isRequired }: DeleteProofs) {
  // The time of a lookup by digest reveals nothing about a secret.
  const hashes = new Set(secrets.map(secretHash));
  return (...kept: readonly (DeviceSecret | undefined)[]): boolean =>
    kept.some((secret) => secret !== undefined && hashes.has(secret.hash)) ||
    (!isRequired && !kept.some((secret) => secret?.isProved));
}

/** The request has no secret, and none is required. */
export const NO_PROOFS: DeleteProofs = { secrets: [], isRequired: false };
