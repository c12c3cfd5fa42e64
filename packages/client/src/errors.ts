// Everything that can go wrong for an application, as one error class with a closed union of codes.
import {
  CLIENT_CLOSES,
  REST_ERRORS,
  type RestErrorCode,
  type SignalingErrorCode,
} from '@couplet/protocol';
import { isRecord } from './json.js';

/** What went wrong at this end, or on the way. */
export type LocalErrorCode =
  /** The caller's AbortSignal. `cause` is its reason. */
  | 'aborted'
  /** The session was closed by this end. */
  | 'closed'
  /** The server could not be reached, after several attempts. `cause` is the error of `fetch`. */
  | 'network'
  /** Something other than a Couplet server answered, such as a proxy or a login page, or the address redirects. */
  | 'unexpected_answer'
  /** The platform cannot connect to this `url`. `cause` is its error, if any: mixed content, for example. */
  | 'invalid_url'
  /** There is no open channel to the peer now: wait for the state `connected`. */
  | 'not_connected'
  /** More than the peer takes in one message: see `maxMessageBytes`. */
  | 'too_large'
  /** The platform takes no more into the channel now: await `drained`. `cause` is what it said. */
  | 'buffer_full'
  /** The peer sent more than 16 MiB before this application listened to `message`. The rest until then is lost. */
  | 'messages_lost'
  /** The platform lacks what is needed, and the options do not bring it. */
  | 'unsupported'
  /** WebRTC refused a session description. The session stays open and takes the next one. `cause` is the reason. */
  | 'negotiation_failed'
  /**
   * A session description is larger than the server takes in one message (`MAX_MESSAGE_BYTES`). It was not sent. The
   * session stays open as it is: reuse transceivers instead of adding tracks.
   */
  | 'message_too_big'
  /** Key exchange: what came is not what was committed to, or the two ends see other certificates. Someone may listen. */
  | 'key_mismatch'
  /**
   * After a key exchange: a session description, or the connection itself, has another certificate than the verified
   * one. The session is closed, and nothing was sent to the holder of the other certificate. Show this as an alarm: the
   * peer's page was reloaded, or someone is in between. If the users want to go on, `Couplet.resume` the pairing and
   * exchange keys again.
   */
  | 'peer_changed'
  /** Key exchange: the peer connection was replaced, or the peer or this end began another exchange. */
  | 'key_interrupted'
  /** Key exchange: the peer does another one, or a later version of this one. */
  | 'key_unsupported';

/** The server closed the connection, and coming back would meet the same fate. */
export type FinalClose = 'replaced' | 'policy_violation';
const FINAL_CLOSES: readonly FinalClose[] = ['replaced', 'policy_violation'];

/** The server refused a join, and asking again would be answered the same. The last two: it speaks another protocol. */
export type FinalRefusal =
  | 'room_full'
  | 'forbidden'
  | 'invalid_room_id'
  | 'invalid_device_id'
  | 'invalid_secret'
  | 'invalid_json'
  | 'unknown_message_type';
const FINAL_REFUSALS = [
  'room_full',
  'forbidden',
  'invalid_room_id',
  'invalid_device_id',
  'invalid_secret',
  'invalid_json',
  'unknown_message_type',
] as const satisfies readonly (FinalRefusal & SignalingErrorCode)[];

/** Every code that an application may meet; a `RestErrorCode` is one of the server's table for REST, docs/protocol.md. */
export type CoupletErrorCode = RestErrorCode | FinalClose | FinalRefusal | LocalErrorCode;

/** What came back for a request. */
export interface Answer {
  readonly status: number;
  /** Parsed JSON; undefined if there is none. */
  readonly body?: unknown;
  /** The address that answered, if it is not the one that was asked. */
  readonly redirectedTo?: string | undefined;
  readonly retryAfterSeconds?: number | undefined;
}

/** The only error that this package throws, rejects with, or hands to an `error` listener. */
export class CoupletError extends Error {
  /** Tells it from other errors in a log. */
  override readonly name = 'CoupletError';
  /** What went wrong. `message` is for people, and `cause` what lies beneath. */
  readonly code: CoupletErrorCode;
  /** Seconds after which the server may be asked again, where it said so. */
  readonly retryAfterSeconds: number | undefined;

  /** @internal */
  constructor(
    code: CoupletErrorCode,
    details: {
      message?: string | undefined;
      cause?: unknown;
      retryAfterSeconds?: number | undefined;
    } = {},
  ) {
    super(details.message ?? code, 'cause' in details ? { cause: details.cause } : {});
    this.code = code;
    this.retryAfterSeconds = details.retryAfterSeconds;
  }

  /** @internal Of the caller's signal. */
  static aborted(signal: AbortSignal | undefined): CoupletError {
    return new CoupletError('aborted', { cause: signal?.reason });
  }

  /** @internal For an answer without a result: the server's code if it is a known one, else `unexpected_answer`. */
  static ofAnswer({ status, body, redirectedTo, retryAfterSeconds }: Answer): CoupletError {
    const { error, details } = isRecord(body) ? body : {};
    // 301, 302 and 303 turn POST into GET. A Couplet server answers that with one of these two codes.
    const lost = redirectedTo && (error === 'missing_field' || error === 'not_found');
    if (status < 300 || lost || typeof error !== 'string' || !Object.hasOwn(REST_ERRORS, error)) {
      return new CoupletError('unexpected_answer', {
        message: redirectedTo
          ? `The address is redirected to ${redirectedTo}, which answered ${status}.`
          : `Something other than a Couplet server answered ${status}.`,
      });
    }
    return new CoupletError(error as RestErrorCode, {
      message: typeof details === 'string' ? details : `The server answered ${status}.`,
      retryAfterSeconds,
    });
  }

  /** @internal Of a close code; undefined where the connection should be made again. */
  static ofClose(closeCode: number): CoupletError | undefined {
    const reason = FINAL_CLOSES.find((name) => CLIENT_CLOSES[name].code === closeCode);
    return (
      reason &&
      new CoupletError(reason, { message: `The server closed the connection: ${reason}.` })
    );
  }

  /** @internal Of an error that answered a join; undefined where the join should be tried again. */
  static ofRefusal(code: string, message?: string): CoupletError | undefined {
    const refusal = FINAL_REFUSALS.find((name) => name === code);
    return refusal && new CoupletError(refusal, { message });
  }
}
