// The table of error codes: what a REST answer or a signaling `error` message may carry. Codes are stable, texts are not.

/** REST: `error` of a JSON error body → HTTP status and meaning. */
export const REST_ERRORS = {
  invalid_json: {
    status: 400,
    meaning:
      'The body is not a JSON object in UTF-8, or is nested too deeply, or has too many members.',
  },
  missing_field: {
    status: 400,
    meaning: 'A required field is absent, null or empty; `field` names it.',
  },
  invalid_joinid: {
    status: 400,
    meaning: 'Not a string of as many ASCII digits as `details` states (six by default).',
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
  invalid_idempotency_key: {
    status: 400,
    meaning: 'The Idempotency-Key is empty or longer than 256 bytes.',
  },
  invalid_request: {
    status: 400,
    meaning: 'Not well-formed HTTP, or a broken WebSocket handshake.',
  },
  missing_deviceIds_or_deviceId: { status: 400, meaning: 'A purge names no device.' },
  empty_deviceIds_array: { status: 400, meaning: 'A purge names an empty list of devices.' },
  invalid_device_ids: {
    status: 400,
    meaning: 'A purge holds values that are not device ids, or too many; `count` says how many.',
  },
  unauthorized: { status: 401, meaning: 'The admin token is missing or wrong.' },
  forbidden: {
    status: 403,
    meaning:
      'Not for this device or origin: it is none of the two of that room, or there is no such room.',
  },
  not_found: { status: 404, meaning: 'No such route, method or room.' },
  not_found_or_expired: {
    status: 404,
    meaning: 'No such code, it has expired, or it belongs to another device.',
  },
  rooms_api_disabled: { status: 404, meaning: 'The server runs without a store (USE_SQLITE).' },
  request_timeout: { status: 408, meaning: 'The request did not arrive in time.' },
  conflict: { status: 409, meaning: 'The code is live for another device, or already accepted.' },
  request_in_progress: {
    status: 409,
    meaning: 'The first request with this Idempotency-Key is not answered yet.',
  },
  payload_too_large: { status: 413, meaning: 'The body is larger than the cap.' },
  unsupported_media_type: { status: 415, meaning: 'The body is not application/json.' },
  idempotency_key_reused: {
    status: 422,
    meaning: 'The Idempotency-Key came with another request before.',
  },
  rate_limited: {
    status: 429,
    meaning: 'Too many failed guesses, codes or pendings; try again after `Retry-After` seconds.',
  },
  headers_too_large: { status: 431, meaning: 'The request header is larger than the cap.' },
  internal_error: { status: 500, meaning: 'A bug in the server.' },
  unavailable: {
    status: 503,
    meaning:
      'The store cannot be reached, or the server is going away; try again after `Retry-After` seconds.',
  },
} as const satisfies Record<string, { status: number; meaning: string }>;

export type RestErrorCode = keyof typeof REST_ERRORS;

/** Signaling: `code` of an `error` or `room_full` message → its `error` text and meaning. */
export const SIGNALING_ERRORS = {
  invalid_json: {
    text: 'Invalid JSON format',
    meaning:
      'Not one JSON object in a text frame, or one that is nested too deeply or has too many members.',
  },
  unknown_message_type: {
    text: 'Unknown message type',
    meaning: 'No such `type`; the text goes on with the type.',
  },
  invalid_room_id: { text: 'Invalid roomId', meaning: 'Not a room id.' },
  invalid_device_id: { text: 'Invalid deviceId', meaning: 'Not a device id.' },
  invalid_sdp: { text: 'Invalid sdp', meaning: 'Not a string.' },
  invalid_candidate: {
    text: 'Invalid candidate',
    meaning: 'Neither null nor an object of the RTCIceCandidateInit shape.',
  },
  invalid_public_key: { text: 'Invalid publicKey', meaning: 'Not a non-empty string.' },
  invalid_session_id: { text: 'Invalid sessionId', meaning: 'Not a string.' },
  invalid_timestamp: { text: 'Invalid timestamp', meaning: 'Neither a number nor a string.' },
  not_in_room: {
    text: 'Not in a valid room for WebRTC signaling',
    meaning: 'The sender is in no room.',
  },
  no_peer: {
    text: 'Room must have exactly 2 users for WebRTC',
    meaning: 'The sender is alone in its room.',
  },
  room_full: { text: 'Room is full (max 2 users)', meaning: 'Both seats are taken by others.' },
  forbidden: {
    text: 'Not a member of this room',
    meaning: 'Only the devices that paired the room may join, and by `deviceId`.',
  },
  rate_limited: {
    text: 'Too many messages',
    meaning: 'Slow down; the connection is closed with 1008 if it goes on like this.',
  },
  unavailable: {
    text: 'Service temporarily unavailable',
    meaning: 'The join could not be carried out now; send it again later.',
  },
} as const satisfies Record<string, { text: string; meaning: string }>;

export type SignalingErrorCode = keyof typeof SIGNALING_ERRORS;
