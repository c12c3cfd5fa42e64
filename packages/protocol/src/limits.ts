// Sizes, counts and durations that both ends of the wire agree on; docs/protocol.md §2 lists them.

/** Digits of a join code, where the server's configuration does not say otherwise. */
export const JOIN_CODE_DIGITS = 6;

/** How long an answer is kept for its Idempotency-Key, in seconds. */
export const IDEMPOTENCY_SECONDS = 600;

/** Longest device id or room id, in bytes of its UTF-8 encoding. */
export const MAX_ID_BYTES = 256;

/** Shortest life of a pending, in seconds. */
export const MIN_EXPIRY_SECONDS = 1;

/** Longest life of a pending, in seconds (24 hours). */
export const MAX_EXPIRY_SECONDS = 86_400;

/** How long an accepted pending stays collectable after the accept, in seconds, however soon its code would expire. */
export const COLLECT_SECONDS = 600;

/** Longest `Prefer: wait=N` on a check, in seconds; a larger N is served as this one. */
export const MAX_WAIT_SECONDS = 30;

/** Most device ids in one purge. */
export const MAX_PURGE_IDS = 1000;

/** Deepest nesting of objects and arrays in a body or message: far beyond what any of them needs. */
export const MAX_JSON_DEPTH = 32;

/** Most members of objects and elements of arrays in a body or message, all levels together; a purge has room for its ids beside. */
export const MAX_JSON_VALUES = 1024;

/** Most device secrets in one purge. */
export const MAX_PURGE_SECRETS = 1000;

/** Members of a room, never more. */
export const ROOM_SEATS = 2;

/** Length of a room id made by an accept: 24 random bytes in lowercase hex. */
export const ROOM_ID_LENGTH = 48;

/** Length of a device secret: 32 random bytes in base64url. */
export const DEVICE_SECRET_LENGTH = 43;

/**
 * Default cap on one WebSocket message from a client, in bytes. A browser adds about 5 KB to its descriptions for each
 * track that an application adds, and never takes it away.
 */
export const DEFAULT_MAX_MESSAGE_BYTES = 262_144;

/**
 * Bytes of JSON for a byte of an id, at most, as encoders write it: `\"`, `\/` and `\n` are two for one, `\u00e9` is six for
 * two. Control characters without a short escape are six for one, but no device has an id of them.
 */
const ESCAPED_BYTES = 3;

/** Quotes, a comma, and the indentation of a pretty printer. */
const BYTES_AROUND = 16;

/** Largest body of a purge, in bytes: what the most ids and secrets need, each of the greatest length. */
export const MAX_PURGE_BODY_BYTES =
  MAX_PURGE_IDS * (MAX_ID_BYTES * ESCAPED_BYTES + BYTES_AROUND) +
  MAX_PURGE_SECRETS * (DEVICE_SECRET_LENGTH + BYTES_AROUND) +
  1024;
