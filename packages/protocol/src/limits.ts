// Defines the sizes, counts and durations of the protocol; docs/protocol.md §2 lists them.

/** Default number of digits of a join code; the server's configuration can change it. */
export const JOIN_CODE_DIGITS = 6;

/** How long a response is kept for its Idempotency-Key, in seconds. */
export const IDEMPOTENCY_SECONDS = 600;

/** Longest device id or room id, in bytes of its UTF-8 encoding. */
export const MAX_ID_BYTES = 256;

/** Shortest lifetime of a pending, in seconds. */
export const MIN_EXPIRY_SECONDS = 1;

/** Longest lifetime of a pending, in seconds (24 hours). */
export const MAX_EXPIRY_SECONDS = 86_400;

/** How long an accepted pending stays collectable after the accept, in seconds, even if its code would expire sooner. */
export const COLLECT_SECONDS = 600;

/** Longest `Prefer: wait=N` on a check, in seconds; a larger N is reduced to it. */
export const MAX_WAIT_SECONDS = 30;

/** Maximum number of device ids in one purge. */
export const MAX_PURGE_IDS = 1000;

/** Maximum nesting of objects and arrays in a body or message, far more than any valid one needs. */
export const MAX_JSON_DEPTH = 32;

/** Maximum number of object members and array elements in a body or message, over all levels; the ids of a purge do not count. */
export const MAX_JSON_VALUES = 1024;

/** Maximum number of device secrets in one purge. */
export const MAX_PURGE_SECRETS = 1000;

/**
 * Longest push token, in bytes. Tokens of APNs and FCM have at most a few hundred; a Web Push subscription is longer,
 * mostly because of its endpoint.
 */
export const MAX_PUSH_TOKEN_BYTES = 2048;

/** Maximum number of members of a room. */
export const ROOM_SEATS = 2;

/** Length of a room id made by an accept: 24 random bytes in lowercase hex. */
export const ROOM_ID_LENGTH = 48;

/** Length of a device secret: 32 random bytes in base64url. */
export const DEVICE_SECRET_LENGTH = 43;

/**
 * Default limit of one WebSocket message from a client, in bytes. For each track that an application adds, a browser
 * adds about 5 KB to its session descriptions and never removes it.
 */
export const DEFAULT_MAX_MESSAGE_BYTES = 262_144;

/**
 * Maximum number of JSON bytes per byte of an id. Encoders write two bytes for one (`\"`, `\/`, `\n`) or six for two
 * (`\u00e9`). Control characters without a short escape take six for one, but device ids do not consist of them.
 */
const ESCAPED_BYTES = 3;

/** Bytes around an id or secret: quotes, a comma, and the indentation of a pretty printer. */
const BYTES_AROUND = 16;

/** Largest body of a purge, in bytes: room for the maximum number of ids and secrets, each of maximum length. */
export const MAX_PURGE_BODY_BYTES =
  MAX_PURGE_IDS * (MAX_ID_BYTES * ESCAPED_BYTES + BYTES_AROUND) +
  MAX_PURGE_SECRETS * (DEVICE_SECRET_LENGTH + BYTES_AROUND) +
  1024;
