// Lists the error codes of REST responses and signaling `error` messages. Codes are stable; texts may change.

/** REST: every `error` of a JSON error body. `REST_ERRORS` has their statuses and meanings, which clients do not load. */
export const REST_ERROR_CODES = [
  'invalid_json',
  'missing_field',
  'invalid_joinid',
  'invalid_expiresInSeconds',
  'invalid_client1',
  'invalid_client2',
  'invalid_client',
  'invalid_roomid',
  'invalid_secret',
  'invalid_secrets',
  'invalid_client1_token',
  'invalid_client2_token',
  'invalid_token',
  'invalid_platform',
  'invalid_deviceId',
  'invalid_idempotency_key',
  'invalid_request',
  'missing_deviceIds_or_deviceId',
  'empty_deviceIds_array',
  'invalid_device_ids',
  'unauthorized',
  'forbidden',
  'not_found',
  'not_found_or_expired',
  'rooms_api_disabled',
  'request_timeout',
  'conflict',
  'request_in_progress',
  'payload_too_large',
  'unsupported_media_type',
  'idempotency_key_reused',
  'rate_limited',
  'headers_too_large',
  'internal_error',
  'unavailable',
] as const;

export type RestErrorCode = (typeof REST_ERROR_CODES)[number];

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
  peer_present: {
    text: 'The peer is in the room',
    meaning: 'To `ping_peer`: the other device is in the room.',
  },
  no_push_target: {
    text: 'The peer cannot be notified',
    meaning:
      'To `ping_peer`: the room has no other device, that device has no valid push token, or the server has no push service for its platform.',
  },
  push_too_soon: {
    text: 'The peer was notified recently',
    meaning:
      'To `ping_peer`: a notification for this device and room was sent or tried a short time ago (`PUSH_INTERVAL_SECONDS`).',
  },
  push_failed: {
    text: 'The notification was not sent',
    meaning:
      'To `ping_peer`: the push service did not accept the notification, cannot be reached, or has too many waiting.',
  },
  rate_limited: {
    text: 'Too many messages',
    meaning: 'The client sends too fast; if it continues, the connection is closed with 1008.',
  },
  unavailable: {
    text: 'Service temporarily unavailable',
    meaning: 'The join or `ping_peer` is not possible at the moment; send it again later.',
  },
} as const satisfies Record<string, { text: string; meaning: string }>;

export type SignalingErrorCode = keyof typeof SIGNALING_ERRORS;
