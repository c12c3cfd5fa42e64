// Tests that the limits and error codes have the values of docs/protocol.md. Changing one changes the protocol.
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

test.each([
  ['invalid_json', 400],
  ['missing_field', 400],
  ['invalid_joinid', 400],
  ['invalid_expiresInSeconds', 400],
  ['invalid_client1', 400],
  ['invalid_client2', 400],
  ['invalid_roomid', 400],
  ['missing_deviceIds_or_deviceId', 400],
  ['empty_deviceIds_array', 400],
  ['invalid_device_ids', 400],
  ['not_found', 404],
  ['not_found_or_expired', 404],
  ['rooms_api_disabled', 404],
  ['conflict', 409],
  ['payload_too_large', 413],
  ['unsupported_media_type', 415],
  ['internal_error', 500],
  ['unavailable', 503],
] as const)('the error %s has the status %d', (code, status) => {
  expect(protocol.REST_ERRORS[code].status).toBe(status);
});

test('every error code has a meaning that is a sentence', () => {
  for (const errors of [protocol.REST_ERRORS, protocol.SIGNALING_ERRORS]) {
    for (const { meaning } of Object.values(errors)) expect(meaning).toMatch(/\.$/);
  }
});
