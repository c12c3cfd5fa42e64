// Defines the one error class of the client, with its codes and their messages for people.
import { CLIENT_CLOSES, type RestErrorCode } from '@couplet/protocol';

/** Codes of failures that the client detects itself. */
export type LocalErrorCode =
  /** The caller aborted its AbortSignal. `cause` is the reason of the signal. */
  | 'aborted'
  /** The session was closed by this end. */
  | 'closed'
  /** The server could not be reached, after several attempts. `cause` is the error of `fetch`. */
  | 'network'
  /** Something other than a Couplet server answered, such as a proxy or a login page, or the address redirects. */
  | 'unexpected_answer'
  /**
   * The platform cannot connect to this `url`: it is malformed, not http(s), or http while the page is https (mixed
   * content). `cause` is the error of the platform, if any.
   */
  | 'invalid_url'
  /** An argument of the call is invalid. `message` is the reason. */
  | 'invalid_argument'
  /** The option `token` returned no bearer token, or its function failed. `cause` is the reason. */
  | 'token_failed'
  /** The channel to the peer is not open. Wait for the state `connected`. */
  | 'not_connected'
  /** Messages that were waiting in the channel are lost: the peer left, or has a new connection. */
  | 'not_delivered'
  /** The data exceeds what the peer accepts in one message. See `maxMessageBytes`. */
  | 'too_large'
  /** The send buffer of the channel is full. Await `drained`. `cause` is the error of the platform. */
  | 'buffer_full'
  /** The peer sent more than 16 MiB while the application did not listen to `message`. Messages above that were lost. */
  | 'messages_lost'
  /** The other end canceled the transfer of the file, or refused the file. */
  | 'file_cancelled'
  /** The receiving device has no space for the file, or its application refused the size. */
  | 'file_too_large'
  /** The bytes that arrived are not those that were sent. */
  | 'file_damaged'
  /** The file cannot be read to its end: it was changed or deleted, or is a folder. `cause` is the reason, if known. */
  | 'file_unreadable'
  /** The peer does not answer the offer of a file: its application does not receive files, or is an earlier version. */
  | 'file_unanswered'
  /** The platform lacks a required API, and the options do not provide it. */
  | 'unsupported'
  /** WebRTC refused a session description. The session stays open and takes the next one. `cause` is the reason. */
  | 'negotiation_failed'
  /**
   * A session description is larger than the server accepts in one message (`MAX_MESSAGE_BYTES`). It was not sent, and
   * the session stays open. Reuse transceivers instead of adding tracks.
   */
  | 'message_too_big'
  /**
   * Key exchange: the peer's key does not match its commitment, or the two ends see different certificates. The
   * connection may be intercepted.
   */
  | 'key_mismatch'
  /**
   * After a key exchange: a session description, or the connection itself, has a certificate other than the verified
   * one. The session is closed, and nothing was sent to the holder of the other certificate. Show this as an alarm: the
   * peer's page was reloaded, or the connection is intercepted. If the users want to continue, `Couplet.resume` the
   * pairing and exchange keys again.
   */
  | 'peer_changed'
  /** Key exchange: the peer connection was replaced, or either end began another exchange. */
  | 'key_interrupted'
  /** Key exchange: the peer uses another protocol, or a later version of this one. */
  | 'key_unsupported'
  /** A digit of the code is wrong. Nothing was sent; let the user check the code. */
  | 'code_mistyped'
  /**
   * The devices have different codes, or somebody tried to intercept the connection. The code is used up. Show that the pairing
   * failed, and pair again with a new code. If it fails again with the right code, do not use this server.
   */
  | 'code_mismatch'
  /**
   * The peer did not prove that it is the verified one: it is another device, its application does not verify pairings,
   * or it lost the key. Show that nothing was sent to it, and pair again with a new code. Or the peer reported that somebody
   * changed a message of this device.
   */
  | 'unverified_peer';

/** Codes for which the server closed the connection and would close a new one too. */
export type FinalClose = 'replaced' | 'policy_violation';
const FINAL_CLOSES: readonly FinalClose[] = ['replaced', 'policy_violation'];

/** Codes with which the server refused a join and would refuse it again. The last two: the server uses another protocol. */
export type FinalRefusal =
  | 'room_full'
  | 'forbidden'
  | 'invalid_room_id'
  | 'invalid_device_id'
  | 'invalid_secret'
  | 'invalid_json'
  | 'unknown_message_type';
const FINAL_REFUSALS =
  /^(room_full|forbidden|invalid_(room_id|device_id|secret|json)|unknown_message_type)$/;

/** Codes with which the server refuses to wake the peer: see docs/protocol.md §8. */
export type PushRefusal = 'peer_present' | 'no_push_target' | 'push_too_soon' | 'push_failed';

/**
 * Every code of a `CoupletError`. A `RestErrorCode` is one of the REST codes in docs/protocol.md. A server of a later version
 * may have further codes.
 */
export type CoupletErrorCode =
  | RestErrorCode
  | FinalClose
  | FinalRefusal
  | PushRefusal
  | LocalErrorCode;

/** Messages of codes that come without one. Those of the key exchange and of files are in their modules, which are bundled only if used. */
const MESSAGES: Partial<Record<CoupletErrorCode, string>> = {
  aborted: 'Canceled',
  buffer_full: 'The send buffer is full',
  closed: 'The session is closed',
  conflict: 'The code is already used',
  forbidden: 'The server has no such pairing',
  message_too_big: 'The session description is too large',
  negotiation_failed: 'WebRTC refused the session description',
  not_connected: 'The peer is not connected',
  not_delivered: 'Messages were not delivered',
  not_found_or_expired: 'The code is wrong or expired',
  peer_changed: 'The peer is not the verified one',
  policy_violation: 'The server closed the connection',
  replaced: 'The device is connected elsewhere',
  too_large: 'The message is too large',
  unauthorized: 'The server requires a valid token',
};

/** The response to a request. */
export interface Answer {
  readonly status: number;
  /** The parsed JSON; undefined if the body is not a JSON object. */
  readonly body?: Record<string, unknown> | undefined;
  /** The address that answered, if the request was redirected. */
  readonly redirectedTo?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** The only error that this package throws, rejects with, or passes to an `error` listener. */
export class CoupletError extends Error {
  /** Identifies the class in a log. */
  override readonly name = 'CoupletError';
  /** The reason, for programs. `message` describes it for people; `cause` is the underlying error, if any. */
  readonly code: CoupletErrorCode;
  /** Seconds to wait before the next request, if the server sent `Retry-After`. */
  readonly retryAfterSeconds: number | undefined;

  /** @internal The message defaults to the one of the code. */
  constructor(
    code: CoupletErrorCode,
    message = `${MESSAGES[code] ?? code.replaceAll('_', ' ')}.`,
    cause?: unknown,
    retryAfterSeconds?: number,
  ) {
    super(message, cause ? { cause } : {});
    this.code = code;
    this.retryAfterSeconds = retryAfterSeconds;
  }
}

/** The error for an aborted signal of the caller. */
export function abortedError(signal: AbortSignal | null | undefined): CoupletError {
  return new CoupletError('aborted', undefined, signal?.reason);
}

/** The error for an exception of the platform or of the application. */
export function errorOf(code: LocalErrorCode, cause: unknown): CoupletError {
  return new CoupletError(code, String(cause), cause);
}

/** The error for an answer without a result: the server's code if there is one, else `unexpected_answer`. */
export function answerError({
  status,
  body,
  redirectedTo,
  retryAfterSeconds,
}: Answer): CoupletError {
  const { error, details } = body ?? {};
  // 301, 302 and 303 turn POST into GET. A Couplet server answers that with one of these two codes.
  const lost = redirectedTo && (error === 'missing_field' || error === 'not_found');
  // Codes are recognized by their form, because a later server may have more. A 404 needs a known code, because it is also the
  // usual answer of other servers.
  const codes = status === 404 ? /^(not_found(_or_expired)?|rooms_api_disabled)$/ : /^[a-z]\w+$/;
  const isCode = typeof error === 'string' && codes.test(error);
  if (status < 300 || lost || !isCode) {
    const from = redirectedTo ? ` from ${redirectedTo}` : '';
    const message = `Expected a Couplet server, got status ${status}${from}.`;
    return new CoupletError('unexpected_answer', message);
  }
  const message = typeof details === 'string' ? details : undefined;
  return new CoupletError(error as RestErrorCode, message, undefined, retryAfterSeconds);
}

/** The error for a close code; undefined if the client should reconnect. */
export function closeError(closeCode: number): CoupletError | undefined {
  const reason = FINAL_CLOSES.find((name) => CLIENT_CLOSES[name].code === closeCode);
  return reason && new CoupletError(reason);
}

/** The error for a refused join; undefined if the client should join again. */
export function refusalError(refused: { code: string; error?: string }): CoupletError | undefined {
  return FINAL_REFUSALS.test(refused.code)
    ? new CoupletError(refused.code as FinalRefusal, refused.error)
    : undefined;
}
