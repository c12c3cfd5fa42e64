// Maps every code of a CoupletError to a text for the user. A missing code is a compile error.
import { CoupletError, type CoupletErrorCode } from '@couplet/client';
import { span } from './format.js';

const BUG = 'The page and the server have incompatible versions. Reload the page.';
const FORGOTTEN = 'The server no longer has this pairing. Create a new invite.';

const WORDS: Readonly<Record<CoupletErrorCode, string>> = {
  aborted: 'Canceled.',
  closed: 'The session was closed.',
  network: 'The server cannot be reached. Check that this device is online, then try again.',
  unexpected_answer:
    'Something other than this server answered, perhaps a proxy or a login page of the network.',
  invalid_argument: BUG,
  invalid_url: 'This page cannot connect to its own server at this address.',
  token_failed: 'The access token of this page could not be obtained. Sign in again.',
  not_connected: 'The other device is not connected right now. Try again in a moment.',
  not_delivered: 'Your last messages were not delivered, because the connection was lost.',
  too_large: 'That is too long for one message.',
  buffer_full: 'Too much data is waiting to be sent. Try again in a moment.',
  messages_lost: 'Some messages were lost, because too many arrived at once. Reload the page.',
  file_cancelled: 'Canceled by the other device.',
  file_too_large: 'Too large for the other device.',
  file_damaged: 'Damaged in transit: the checksums differ.',
  file_unreadable: 'The file cannot be read.',
  file_unanswered:
    'The other device has an earlier version of this page. Reload the page there, then send the file again.',
  unsupported: 'This browser has no WebRTC, or it is turned off.',
  negotiation_failed:
    'The two browsers could not agree on how to connect. Reload the page on both devices.',
  key_mismatch:
    'The two devices have different data. The connection may be intercepted: do not trust it.',
  peer_changed:
    'The other device is not the one that you verified. The session was closed, and nothing was sent to that device.',
  key_interrupted: 'The comparison was interrupted. Press the button again, on both devices.',
  key_unsupported: 'The other device does not support this kind of comparison.',
  code_mistyped: 'One of the digits is wrong. Check the code.',
  code_mismatch:
    'The two devices have different codes, or somebody tried to intercept the connection. Nothing was sent. Pair again with a new code.',
  unverified_peer:
    'The other device did not prove that it is the one you paired with. Nothing was sent to it. Pair again with a new code.',
  replaced: 'This session was opened in another tab or window, and continues there.',
  policy_violation: 'The server closed the connection, because this page sent too much too fast.',
  message_too_big:
    'The call could not be changed: its description is larger than the server accepts. Reload the page.',
  peer_present: 'The other device is here already.',
  no_push_target: 'The other device has not turned on notifications.',
  push_too_soon: 'The other device was notified a moment ago.',
  push_failed: 'The notification could not be sent. Try again later.',
  room_full: 'Two other devices are already in this room.',
  forbidden: FORGOTTEN,
  not_found: FORGOTTEN,
  not_found_or_expired:
    'No device is waiting with this code. Check the digits. A code also expires after five minutes.',
  conflict: 'This code has already been used. Create a new one on the other device.',
  rate_limited: 'Too many attempts. Wait a moment, then try again.',
  rooms_api_disabled: 'Pairing is turned off on this server (USE_SQLITE).',
  unavailable: 'The server is busy or restarting. Try again in a moment.',
  internal_error: 'The server has an internal error. Try again. Its log has the details.',
  unauthorized: 'This server requires you to be logged in.',
  request_timeout: 'The connection to the server is too slow at the moment. Try again.',
  request_in_progress: 'The server is still processing this request. Try again in a moment.',
  invalid_client2: 'This device created the code. Enter it on another device, or in another tab.',
  invalid_joinid: 'This is not a code of this server. Check the digits.',
  invalid_room_id: BUG,
  invalid_device_id: BUG,
  invalid_json: BUG,
  unknown_message_type: BUG,
  missing_field: BUG,
  invalid_expiresInSeconds: BUG,
  invalid_client1: BUG,
  invalid_client: BUG,
  invalid_roomid: BUG,
  invalid_secret: BUG,
  invalid_secrets: BUG,
  invalid_client1_token: BUG,
  invalid_client2_token: BUG,
  invalid_token: BUG,
  invalid_platform: BUG,
  invalid_deviceId: BUG,
  invalid_idempotency_key: BUG,
  invalid_request: BUG,
  missing_deviceIds_or_deviceId: BUG,
  empty_deviceIds_array: BUG,
  invalid_device_ids: BUG,
  payload_too_large: BUG,
  unsupported_media_type: BUG,
  idempotency_key_reused: BUG,
  headers_too_large: BUG,
};

/** Returns the text for any thrown value. */
export function wordsFor(error: unknown): string {
  if (!(error instanceof CoupletError)) return 'Something went wrong on this page. Reload it.';
  const seconds = error.retryAfterSeconds;
  const wait = seconds === undefined || seconds < 2 ? '' : ` (Wait ${span(seconds)}.)`;
  // A server of a later version may have further codes.
  const words: string | undefined = WORDS[error.code];
  return (words ?? error.message) + wait;
}

/** Returns the text for the device that created a code. It differs in some cases from that for the other device. */
export function inviteWordsFor(error: unknown): string {
  const code = error instanceof CoupletError ? error.code : undefined;
  if (code === 'not_found_or_expired') return 'The code was not used in time. Create a new invite.';
  if (code === 'conflict') return 'No code is available right now. Try again in a moment.';
  return wordsFor(error);
}

/** Returns the text for the device that entered a code. */
export function joinWordsFor(error: unknown): string {
  const code = error instanceof CoupletError ? error.code : undefined;
  // Before there is a session, this means that the code was used before. Each is good for one attempt.
  if (code === 'code_mismatch') return WORDS.conflict;
  if (code !== 'unsupported' || !('RTCPeerConnection' in globalThis)) return wordsFor(error);
  return `${
    isSecureContext
      ? 'This browser is too old to verify the code.'
      : 'This page was opened without HTTPS, so the browser cannot verify the code.'
  } On the other device, press “Create a code without verification”.`;
}

/** Whether the user caused the error by canceling. */
export const isCancel = (error: unknown): boolean =>
  error instanceof CoupletError && (error.code === 'aborted' || error.code === 'closed');
