// Every code of a CoupletError in plain words, and what to do about it. A code without words does not compile.
import { CoupletError, type CoupletErrorCode } from '@couplet/client';
import { span } from './format.js';

const BUG = 'The page and the server do not understand each other. Reload the page.';
const ANEW = 'The server does not know this pairing any more. Make a new invite.';

const WORDS: Readonly<Record<CoupletErrorCode, string>> = {
  aborted: 'Cancelled.',
  closed: 'The session was closed.',
  network: 'The server cannot be reached. Check that this device is online, then try again.',
  unexpected_answer:
    'Something that is not this server answered. Perhaps a proxy or a login page of the network is in between.',
  invalid_url: 'This page cannot connect to its own server at this address.',
  not_connected: 'The other device is not connected right now. Try again in a moment.',
  too_large: 'That is too long for one message.',
  buffer_full: 'The line is busy. Try again when less is under way.',
  messages_lost: 'Some messages were lost, because too many came at once. Reload the page.',
  unsupported: 'This browser has no WebRTC, or it is turned off.',
  negotiation_failed:
    'The two browsers could not agree on how to connect. Reload the page on both devices.',
  key_mismatch:
    'The two devices do not see the same. Someone may be in between: do not trust this connection.',
  peer_changed:
    'The other device is not the one that you compared with. The session was closed, and nothing was sent to it.',
  key_interrupted: 'The comparison was interrupted. Press the button again, on both devices.',
  key_unsupported: 'The other device compares in another way, or not at all.',
  replaced: 'This session was opened in another tab or window, and goes on there.',
  policy_violation: 'The server ended the connection, because too much came too fast.',
  message_too_big:
    'The call could not be changed: its description is larger than the server takes. Reload the page.',
  room_full: 'Two other devices are in this room already.',
  forbidden: ANEW,
  not_found: ANEW,
  not_found_or_expired:
    'No device is waiting with this code. Check the digits; a code also expires after five minutes.',
  conflict: 'This code has been used already. Make a new one on the other device.',
  rate_limited: 'Too many attempts. Wait a little, then try again.',
  rooms_api_disabled: 'Pairing is turned off on this server (USE_SQLITE).',
  unavailable: 'The server is busy or restarting. Try again in a moment.',
  internal_error: 'The server made a mistake. Try again; its log says more.',
  unauthorized: 'This server lets only known users in.',
  request_timeout: 'The connection to the server is too slow at the moment. Try again.',
  request_in_progress: 'The server is still busy with this. Try again in a moment.',
  invalid_client2:
    'This device made the code itself. Enter it on another device, or in another tab.',
  invalid_joinid: 'That is no code of this server. Check the digits.',
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

/** What to tell the user of something that was thrown. */
export function wordsFor(error: unknown): string {
  if (!(error instanceof CoupletError)) return 'Something went wrong on this page. Reload it.';
  const seconds = error.retryAfterSeconds;
  const wait = seconds === undefined || seconds < 2 ? '' : ` (${span(seconds)} are enough.)`;
  return WORDS[error.code] + wait;
}

/** The same for who made a code: what the other device is told of it would only confuse. */
export function inviteWordsFor(error: unknown): string {
  const code = error instanceof CoupletError ? error.code : undefined;
  if (code === 'not_found_or_expired') return 'Nobody used the code in time. Make a new invite.';
  if (code === 'conflict') return 'No code is free right now. Try again in a moment.';
  return wordsFor(error);
}

/** Whether it is no failure, but what the user wanted. */
export const isCancel = (error: unknown): boolean =>
  error instanceof CoupletError && (error.code === 'aborted' || error.code === 'closed');
