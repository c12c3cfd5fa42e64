// Tests that the limits have the values of docs/protocol.md. Changing one changes the protocol.
import * as protocol from '@couplet/protocol';
import { expect, test } from 'vitest';

test('every limit has the value that the protocol defines', () => {
  expect(protocol).toMatchObject({
    JOIN_CODE_DIGITS: 6,
    IDEMPOTENCY_SECONDS: 600,
    MAX_ID_BYTES: 256,
    MIN_EXPIRY_SECONDS: 1,
    MAX_EXPIRY_SECONDS: 86_400,
    COLLECT_SECONDS: 600,
    MAX_WAIT_SECONDS: 30,
    MAX_PURGE_IDS: 1000,
    MAX_PURGE_BODY_BYTES: 844_024,
    MAX_JSON_DEPTH: 32,
    MAX_JSON_VALUES: 1024,
    ROOM_SEATS: 2,
    ROOM_ID_LENGTH: 48,
    DEFAULT_MAX_MESSAGE_BYTES: 262_144,
  });
});

test('every error code has a meaning that is a sentence', () => {
  for (const errors of [protocol.REST_ERRORS, protocol.SIGNALING_ERRORS]) {
    for (const { meaning } of Object.values(errors)) expect(meaning).toMatch(/\.$/);
  }
});
