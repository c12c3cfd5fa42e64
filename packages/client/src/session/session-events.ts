// What a session tells its application: states, events, and the pairing to save.
//
//   state        │ what happens                                                       │ next
//   connecting   │ the data channel opens                                             │ connected
//   connected    │ ICE loses the path, the channel is closed, or the peer began anew  │ reconnecting
//   reconnecting │ the path is back (ICE restart), or a new channel opens             │ connected
//   any          │ the peer leaves on purpose                                         │ connecting: it may come back
//   any          │ close(), or a final error                                          │ closed
//
// The signaling connection is in no row: losing it changes no state.
import type { KeyExchange, KeyExchangeComplete } from '@couplet/protocol';
import type { CoupletError } from '../errors.js';
import type { SessionPath } from './path.js';

/** How it stands with the peer. */
export type SessionState = 'connecting' | 'connected' | 'reconnecting' | 'closed';

/**
 * How it stands with the server, which a session that is `connected` can do without: `joining` the room, `joined` and
 * alone in it, `ready` with the peer there too, or `down` until the next attempt.
 */
export type SignalingState = 'joining' | 'joined' | 'ready' | 'down';

/** A candidate as it came; null where its side has no more of them. */
export interface CandidateFound {
  /** Whose it is. */
  readonly side: 'local' | 'remote';
  /** Null: there are no more. */
  readonly candidate: RTCIceCandidateInit | null;
}

/** Of a key exchange; the server forwards it and does not look at it. */
export type KeyMessage = KeyExchange | KeyExchangeComplete;

/** A pairing as plain JSON, for `Couplet.resume`. Keep it secret: with it, another device can act as this one. */
export interface SavedSession {
  /** Of this shape. */
  readonly version: 1;
  /** Where the two meet. */
  readonly roomId: string;
  /** Of the device that saved it. */
  readonly deviceId: string;
  /** The secret of the device in this pairing. Absent if the pairing was made by a version without secrets. */
  readonly secret?: string;
}

/** Events of a session, and what a listener is called with. */
export interface SessionEvents {
  /** How it stands with the peer is another now. */
  state: [SessionState];
  /** Also at every `ready`, each of which tells that what was sent to the peer before may not have reached it. */
  signaling: [SignalingState];
  /** The way of the packets, when it is found and when it changes. */
  path: [SessionPath];
  /** Every ICE candidate of either side, for a look at what is tried. */
  candidate: [CandidateFound];
  /** From the peer's `send`. Up to 16 MiB that come before anybody listens are kept for the first listener. */
  message: [string | ArrayBuffer];
  /** From the peer's `signal`. */
  'key-message': [KeyMessage];
  /** The peer left on purpose. It may come back; until then the state is `connecting`. */
  'peer-left': [];
  /** There is a new RTCPeerConnection: the first, or the peer began anew. Tracks are to be added to this one. */
  peer: [RTCPeerConnection];
  /**
   * The session is closed for this reason. Only after `negotiation_failed`, `message_too_big` and `messages_lost` it
   * stays open.
   */
  error: [CoupletError];
}
