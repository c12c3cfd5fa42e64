// Time-limited TURN credentials: pure. The TURN REST API draft (draft-uberti-behave-turn-rest-00 §2.2), as coturn's `use-auth-secret` checks it.
import { createHmac } from 'node:crypto';

export interface TurnCredentials {
  username: string;
  credential: string;
}

/**
 * Makes credentials that open allocations until `expiresAtSeconds` (Unix time).
 *
 * @param userId - what coturn counts quotas by; no colon in it
 */
export function turnCredentials(
  secret: string,
  userId: string,
  expiresAtSeconds: number,
): TurnCredentials {
  const username = `${expiresAtSeconds}:${userId}`;
  return { username, credential: createHmac('sha1', secret).update(username).digest('base64') };
}

/** Says what {@link opaqueUserId} derives its key for, so that it is the key of nothing else. */
const KEY_PURPOSE = 'couplet turn user id';
const USER_ID_BYTES = 16;

/**
 * The id that stands for a party of a room in a username: always the same for the same party, so that coturn counts it
 * as one user, and without the secret it tells neither who nor where.
 */
export function opaqueUserId(secret: string, roomId: string, party: string): string {
  const key = createHmac('sha256', secret).update(KEY_PURPOSE).digest();
  // As JSON, no two pairs are one text, whatever characters the ids hold.
  const digest = createHmac('sha256', key)
    .update(JSON.stringify([roomId, party]))
    .digest();
  return digest.subarray(0, USER_ID_BYTES).toString('base64url');
}

/**
 * When the credentials of a user end, in seconds of Unix time: the same for half of the TTL, on every node, so that a
 * user who asks again is the same user again. More than half of the TTL is always left. Each user changes at a time of
 * its own, so that not all come for new credentials at once.
 */
export function expiryOf(userId: string, ttlSeconds: number, nowSeconds: number): number {
  const half = Math.floor(ttlSeconds / 2);
  const offset = Buffer.from(userId, 'base64url').readUInt32BE() % half;
  return (Math.floor((nowSeconds + offset) / half) + 2) * half - offset;
}
