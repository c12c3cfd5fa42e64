// Lists the error codes of REST responses and signaling `error` messages. Codes are stable; texts may change.

/** REST: `error` of a JSON error body → HTTP status. `REST_MEANINGS` has the meanings. */
export const REST_ERRORS = {
  invalid_json: { status: 400 },
  missing_field: { status: 400 },
  invalid_joinid: { status: 400 },
  invalid_expiresInSeconds: { status: 400 },
  invalid_client1: { status: 400 },
  invalid_client2: { status: 400 },
  invalid_client: { status: 400 },
  invalid_roomid: { status: 400 },
  invalid_secret: { status: 400 },
  invalid_secrets: { status: 400 },
  invalid_idempotency_key: { status: 400 },
  invalid_request: { status: 400 },
  missing_deviceIds_or_deviceId: { status: 400 },
  empty_deviceIds_array: { status: 400 },
  invalid_device_ids: { status: 400 },
  unauthorized: { status: 401 },
  forbidden: { status: 403 },
  not_found: { status: 404 },
  not_found_or_expired: { status: 404 },
  rooms_api_disabled: { status: 404 },
  request_timeout: { status: 408 },
  conflict: { status: 409 },
  request_in_progress: { status: 409 },
  payload_too_large: { status: 413 },
  unsupported_media_type: { status: 415 },
  idempotency_key_reused: { status: 422 },
  rate_limited: { status: 429 },
  headers_too_large: { status: 431 },
  internal_error: { status: 500 },
  unavailable: { status: 503 },
} as const satisfies Record<string, { status: number }>;

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
    meaning: 'Unknown `type`; the text ends with the type.',
  },
  invalid_room_id: { text: 'Invalid roomId', meaning: 'Not a room id.' },
  invalid_device_id: { text: 'Invalid deviceId', meaning: 'Not a device id.' },
  invalid_secret: { text: 'Invalid secret', meaning: 'Not a string of at most 256 bytes.' },
  invalid_sdp: { text: 'Invalid sdp', meaning: 'Not a string.' },
  invalid_mac: { text: 'Invalid mac', meaning: 'Not a string.' },
  invalid_candidate: {
    text: 'Invalid candidate',
    meaning: 'Neither null nor an RTCIceCandidateInit object.',
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
  room_full: { text: 'Room is full (max 2 users)', meaning: 'Others have both seats.' },
  forbidden: {
    text: 'Not a member of this room',
    meaning:
      '`deviceId` is not one of the two devices that paired the room, or the `secret` of the device is wrong or missing.',
  },
  rate_limited: {
    text: 'Too many messages',
    meaning: 'The client sends too fast; if it continues, the connection is closed with 1008.',
  },
  unavailable: {
    text: 'Service temporarily unavailable',
    meaning: 'The join is not possible at the moment; send it again later.',
  },
} as const satisfies Record<string, { text: string; meaning: string }>;

export type SignalingErrorCode = keyof typeof SIGNALING_ERRORS;
