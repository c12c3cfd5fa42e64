// Time-limited TURN credentials: fixed vectors, the ids of users, and their expiry (docs/turn.md).
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { expiryOf, opaqueUserId, turnCredentials } from '../../src/turn/credentials.js';

const SECRET = 'north-star-secret-1';

describe('turnCredentials', () => {
  test.each([
    ['AAECAwQFBgcICQoLDA0ODw', 1767229200, 'Wgd7K6H+JNeTqL/QAf+gaIzfIQQ='],
    ['x', 1, 'if+dnVjdNOPkklzV7PSQhxZUNXc='],
  ])('user %s until %d has the expected credential', (userId, expiresAt, credential) => {
    expect(turnCredentials(SECRET, userId, expiresAt)).toEqual({
      username: `${expiresAt}:${userId}`,
      credential,
    });
  });
});

describe('opaqueUserId', () => {
  test('is the same for the same device in the same room', () => {
    expect(opaqueUserId(SECRET, 'room', 'device')).toBe(opaqueUserId(SECRET, 'room', 'device'));
    expect(opaqueUserId(SECRET, 'room', 'device')).toBe('AqFxVv3HqaxOt8yLRrdvHg');
  });

  test('differs for another device, room or secret, also if the ids joined together are the same', () => {
    const ids = [
      opaqueUserId(SECRET, 'room', 'device'),
      opaqueUserId(SECRET, 'room', 'device2'),
      opaqueUserId(SECRET, 'room2', 'device'),
      opaqueUserId(SECRET, 'roomd', 'evice'),
      opaqueUserId(SECRET, 'room","device', ''),
      opaqueUserId(`${SECRET}x`, 'room', 'device'),
    ];
    expect(new Set(ids).size).toBe(ids.length);
  });
});

describe('expiryOf', () => {
  const user = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes));
  const ttl = fc.integer({ min: 60, max: 86_400 });
  const time = fc.integer({ min: 1_700_000_000, max: 4_000_000_000 });

  test('leaves more than half of the TTL, and at most the whole TTL', () => {
    fc.assert(
      fc.property(user, ttl, time, (bytes, ttlSeconds, now) => {
        const left = expiryOf(bytes.toString('base64url'), ttlSeconds, now) - now;
        expect(left).toBeGreaterThan(Math.floor(ttlSeconds / 2));
        expect(left).toBeLessThanOrEqual(ttlSeconds);
      }),
    );
  });

  test('changes once in half of the TTL, so that at most two usernames of a user are valid at any time', () => {
    fc.assert(
      fc.property(user, fc.integer({ min: 60, max: 120 }), time, (bytes, ttlSeconds, now) => {
        const handedOut = new Set<number>();
        for (let second = now - 2 * ttlSeconds; second <= now; second++) {
          handedOut.add(expiryOf(bytes.toString('base64url'), ttlSeconds, second));
        }
        expect([...handedOut].filter((expiry) => expiry > now).length).toBeLessThanOrEqual(2);
      }),
      { numRuns: 50 },
    );
  });

  test('differs between users', () => {
    const expiries = Array.from({ length: 50 }, (_, n) =>
      expiryOf(opaqueUserId(SECRET, 'room', `device ${n}`), 3600, 1_800_000_000),
    );
    expect(new Set(expiries).size).toBeGreaterThan(40);
  });
});
