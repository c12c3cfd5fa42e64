// Time-limited TURN credentials: fixed vectors, and openssl as a second opinion. docs/turn.md.
import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { opaqueUserId, turnCredentials } from '../../src/turn/credentials.js';
import { describeWith } from '../support/components.js';

const SECRET = 'north-star-secret-1';

describe('turnCredentials', () => {
  test.each([
    ['AAECAwQFBgcICQoLDA0ODw', 1767229200, 'Wgd7K6H+JNeTqL/QAf+gaIzfIQQ='],
    ['x', 1, 'if+dnVjdNOPkklzV7PSQhxZUNXc='],
  ])('of user %s until %d are these', (userId, expiresAt, credential) => {
    expect(turnCredentials(SECRET, userId, expiresAt)).toEqual({
      username: `${expiresAt}:${userId}`,
      credential,
    });
  });
});

describeWith(['openssl'], 'openssl', () => {
  test('makes the same credential of the same username and secret', () => {
    for (const [secret, userId] of fc.sample(
      fc.tuple(fc.stringMatching(/^[A-Za-z0-9+/=_.~-]{16,60}$/), fc.stringMatching(/^[\w-]{22}$/)),
      5,
    )) {
      const { username, credential } = turnCredentials(secret, userId, 1767229200);
      const digest = execFileSync('openssl', ['dgst', '-sha1', '-hmac', secret, '-binary'], {
        input: username,
      });
      expect(credential).toBe(digest.toString('base64'));
    }
  });
});

describe('opaqueUserId', () => {
  test('is the same for the same device in the same room', () => {
    expect(opaqueUserId(SECRET, 'room', 'device')).toBe(opaqueUserId(SECRET, 'room', 'device'));
    expect(opaqueUserId(SECRET, 'room', 'device')).toBe('AqFxVv3HqaxOt8yLRrdvHg');
  });

  test('is another for another device, room or secret, wherever one id ends and the next begins', () => {
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

  test('has no colon, fits a username and holds nothing of what it stands for', () => {
    const id = fc.string({ minLength: 8, maxLength: 64, unit: 'binary' });
    fc.assert(
      fc.property(id, id, (roomId, deviceId) => {
        const userId = opaqueUserId(SECRET, roomId, deviceId);
        expect(userId).toMatch(/^[\w-]{22}$/);
        expect(userId).not.toContain(roomId);
        expect(userId).not.toContain(deviceId);
      }),
      { numRuns: 200 },
    );
  });
});
