// Defines the states and events of a session, and the saved form of a pairing.
//
//   state        │ event                                                                     │ next
//   connecting   │ the data channel opens                                                    │ connected
//   connected    │ ICE loses the path, the channel closes, or the peer has a new connection  │ reconnecting
//   reconnecting │ an ICE restart restores the path, or a new channel opens                  │ connected
//   any          │ the peer leaves on purpose                                                │ connecting: it may return
//   any          │ close(), or a final error                                                 │ closed
//
// Losing the signaling connection changes no state.
import type {
  ErrorMessage,
  KeyExchange,
  KeyExchangeComplete,
  PeerNotified,
  RoomFull,
} from '@couplet/protocol';
import type { CoupletError } from '../errors.js';
import type { SessionPath } from './path.js';

/** The state of the connection to the peer. */
export type SessionState = 'connecting' | 'connected' | 'reconnecting' | 'closed';

/**
 * The state of the connection to the server: `joining` the room, `joined` and alone in it, `ready` if the peer is in the
 * room too, or `down` until the next attempt. A `connected` session works without the server.
 */
export type SignalingState = 'joining' | 'joined' | 'ready' | 'down';

/**
 * How the peer was verified: by the secret of the `code` or link, by the key of a `saved` verified pairing, or because the
 * users `compared` digits. `none`: it was not verified.
 */
export type SessionTrust = 'code' | 'saved' | 'compared' | 'none';

/** An ICE candidate of one side, or the end of its candidates. */
export interface CandidateFound {
  /** The side that the candidate belongs to. */
  readonly side: 'local' | 'remote';
  /** The candidate; null at the end of candidates. */
  readonly candidate: RTCIceCandidateInit | null;
}

/** A message of a key exchange. The server forwards it unchanged. */
export type KeyMessage = KeyExchange | KeyExchangeComplete;

/** A pairing as plain JSON, for `Couplet.resume`. Keep it secret: with it, another device can act as this one. */
export interface SavedSession {
  /** The version of this format. */
  readonly version: 1;
  /** The room of the pairing. */
  readonly roomId: string;
  /** The id of the device that saved it. */
  readonly deviceId: string;
  /** The secret of the device in this pairing. Absent if the pairing was made by a version without secrets. */
  readonly secret?: string;
  /**
   * The key of a verified pairing: `resume` refuses a peer without it. Absent if the pairing is not verified. Empty if the
   * pairing was saved before its verification was complete; then it cannot be resumed.
   */
  readonly key?: string;
}

/** Events of a session, with the arguments of their listeners. */
export interface SessionEvents {
  /** The state of the connection to the peer changed. */
  state: [SessionState];
  /**
   * The state of the connection to the server changed. `ready` is also emitted again, without a change. After each
   * `ready`, messages that were sent through the server before may have been lost.
   */
  signaling: [SignalingState];
  /** The path of the packets was found or changed. */
  path: [SessionPath];
  /** An ICE candidate of either side, for diagnostics. */
  candidate: [CandidateFound];
  /** The peer called `send`. Up to 16 MiB that arrive while there is no listener are kept for the next listener. */
  message: [string | ArrayBuffer];
  /** The peer called `signal`. */
  'key-message': [KeyMessage];
  /**
   * The server has sent a push notification to the peer's device (`peer_notified`), or has refused a message of this session
   * (`error`, `room_full`). The session needs no reaction.
   */
  'server-message': [PeerNotified | ErrorMessage | RoomFull];
  /** The peer left on purpose. It may return; until then the state is `connecting`. */
  'peer-left': [];
  /** There is a new RTCPeerConnection: the first one, or the peer has a new connection. Add the tracks to this one. */
  peer: [RTCPeerConnection];
  /**
   * The session closes for this reason. After `negotiation_failed`, `message_too_big`, `messages_lost` and `not_delivered`
   * it stays open.
   */
  error: [CoupletError];
}
