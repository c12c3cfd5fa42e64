// Makes time-limited TURN credentials (draft-uberti-behave-turn-rest-00 §2.2) as coturn's `use-auth-secret` checks them.
import { createHmac } from 'node:crypto';

/**
 * Makes credentials that open allocations until `expiresAtSeconds` (Unix time).
 *
 * @param userId - id by which coturn counts quotas; it must not have a colon
 */
export function turnCredentials(secret: string, userId: string, expiresAtSeconds: number) {
  const username = `${expiresAtSeconds}:${userId}`;
  return { username, credential: createHmac('sha1', secret).update(username).digest('base64') };
}

/** Separates the derived key of {@link opaqueUserId} from other uses of the secret. */
const KEY_PURPOSE = 'couplet turn user id';
const USER_ID_BYTES = 16;

/**
 * Returns the id of a party of a room for TURN usernames. The same party always has the same id, so that coturn counts
 * it as one user. Without the secret, the id reveals neither the party nor the room.
 */
export function opaqueUserId(secret: string, roomId: string, party: string): string {
  const key = createHmac('sha256', secret).update(KEY_PURPOSE).digest();
  // As JSON, two different pairs never have the same text, regardless of the characters in the ids.
  const digest = createHmac('sha256', key)
    .update(JSON.stringify([roomId, party]))
    .digest();
  return digest.subarray(0, USER_ID_BYTES).toString('base64url');
}

/**
 * Returns when the credentials of a user expire, in seconds of Unix time. All nodes return the same time for half of the
 * TTL, so that repeated requests get the same username. More than half of the TTL is always left. The times differ
 * between users, so that not all users ask for new credentials at once.
 */
export function expiryOf(userId: string, ttlSeconds: number, nowSeconds: number): number {
  const half = Math.floor(ttlSeconds / 2);
  const offset = Buffer.from(userId, 'base64url').readUInt32BE() % half;
  return (Math.floor((nowSeconds + offset) / half) + 2) * half - offset;
}
