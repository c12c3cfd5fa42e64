// Holds the statuses of REST error codes, and the meanings of REST error codes and close codes. Separate, so that clients do not
// load them.
import type { CloseReason } from './close-codes.js';
import type { RestErrorCode } from './error-codes.js';
import { MAX_PUSH_TOKEN_BYTES } from './limits.js';

const NOT_A_TOKEN = {
  status: 400,
  meaning: `Not a push token of its \`platform\`, or longer than ${MAX_PUSH_TOKEN_BYTES} bytes.`,
};

/** REST: error code → its HTTP status and meaning. */
export const REST_ERRORS: Readonly<Record<RestErrorCode, { status: number; meaning: string }>> = {
  invalid_json: {
    status: 400,
    meaning:
      'The body is not a JSON object in UTF-8, is nested too deeply, or has too many members.',
  },
  missing_field: {
    status: 400,
    meaning: 'A required field is absent, null or empty; `field` names it.',
  },
  invalid_joinid: {
    status: 400,
    meaning: 'Not a string of ASCII digits of the length that `details` states (six by default).',
  },
  invalid_expiresInSeconds: {
    status: 400,
    meaning: 'Not a whole JSON number within the bounds that `details` states.',
  },
  invalid_client1: { status: 400, meaning: 'Not a device id.' },
  invalid_client2: {
    status: 400,
    meaning: 'Not a device id, or the device that created the code.',
  },
  invalid_client: { status: 400, meaning: 'Not a device id.' },
  invalid_roomid: { status: 400, meaning: 'Not a room id.' },
  invalid_secret: { status: 400, meaning: 'Not a string of at most 256 bytes.' },
  invalid_secrets: {
    status: 400,
    meaning: 'Not a list of at most 1000 secrets; `count` is the number of invalid ones.',
  },
  invalid_client1_token: NOT_A_TOKEN,
  invalid_client2_token: NOT_A_TOKEN,
  invalid_token: NOT_A_TOKEN,
  invalid_platform: { status: 400, meaning: 'Not `ios`, `android` or `web`.' },
  invalid_deviceId: { status: 400, meaning: 'Not a device id.' },
  invalid_idempotency_key: {
    status: 400,
    meaning: 'The Idempotency-Key is empty or longer than 256 bytes.',
  },
  invalid_request: {
    status: 400,
    meaning: 'Malformed HTTP, no `Host` header or several, or an invalid WebSocket handshake.',
  },
  missing_deviceIds_or_deviceId: { status: 400, meaning: 'A purge names no device.' },
  empty_deviceIds_array: { status: 400, meaning: 'A purge names an empty list of devices.' },
  invalid_device_ids: {
    status: 400,
    meaning:
      'A purge contains values that are not device ids, or too many values; `count` is their number.',
  },
  unauthorized: {
    status: 401,
    meaning:
      'The admin token is missing or wrong, or the embedding application refuses the request.',
  },
  forbidden: {
    status: 403,
    meaning:
      'The device is not one of the two of the room, the room does not exist, the device secret is wrong or missing, or ALLOWED_ORIGINS or ALLOWED_HOSTS excludes the request.',
  },
  not_found: { status: 404, meaning: 'No such route, method or room.' },
  not_found_or_expired: {
    status: 404,
    meaning:
      'The code does not exist, has expired, or belongs to another device; its room was deleted; or the device secret is wrong or missing.',
  },
  rooms_api_disabled: {
    status: 404,
    meaning: 'The server runs without a store (see USE_SQLITE and REDIS_URL).',
  },
  request_timeout: { status: 408, meaning: 'The request did not arrive in time.' },
  conflict: {
    status: 409,
    meaning:
      'The code is live for another device, is already accepted, or can be renewed only with the secret of its device.',
  },
  request_in_progress: {
    status: 409,
    meaning: 'The first request with this Idempotency-Key is still in progress.',
  },
  payload_too_large: { status: 413, meaning: 'The body is larger than the limit.' },
  unsupported_media_type: {
    status: 415,
    meaning: 'The body is not application/json, or is compressed.',
  },
  idempotency_key_reused: {
    status: 422,
    meaning: 'The Idempotency-Key was already used with another request.',
  },
  rate_limited: {
    status: 429,
    meaning:
      'Too many failed guesses, codes, pendings or requests; try again after `Retry-After` seconds.',
  },
  headers_too_large: { status: 431, meaning: 'The request header is larger than the limit.' },
  internal_error: { status: 500, meaning: 'A bug in the server.' },
  unavailable: {
    status: 503,
    meaning:
      'The store cannot be reached or is full, or the server is shutting down; try again after `Retry-After` seconds.',
  },
};

/** The cause of each close code, and what the client does next. */
export const CLOSE_MEANINGS: Readonly<Record<CloseReason, string>> = {
  policy_violation: 'Abuse; do not reconnect until the cause is fixed.',
  message_too_big: 'A message was larger than the limit; reconnect, and do not send it again.',
  internal_error: 'A bug in the server; reconnect with backoff.',
  service_restart: 'The server is restarting; reconnect with backoff.',
  try_again_later: 'The server cannot keep the seat of this connection; reconnect with backoff.',
  replaced: 'The same device joined again and took over this seat; do not reconnect.',
  slow_consumer: 'The client read too slowly, and too much data was queued for it; reconnect.',
};
