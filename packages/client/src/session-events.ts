// What a session tells its application: states, events, and the pairing to save.
import type { CoupletError } from './errors.js';
import type { SessionPath } from './path.js';

export type SessionState = 'connecting' | 'connected' | 'reconnecting' | 'closed';

/** A pairing as plain JSON, for `Couplet.resume`. Whoever has it, can take this device's place: keep it secret. */
export interface SavedSession {
  readonly version: 1;
  readonly roomId: string;
  readonly deviceId: string;
}

export interface SessionEvents {
  state: [SessionState];
  /** The way of the packets, when it is found and when it changes. */
  path: [SessionPath];
  /** From the peer's `send`. */
  message: [string | ArrayBuffer];
  /** The peer left on purpose. It may come back; until then the state is `connecting`. */
  'peer-left': [];
  /** There is a new RTCPeerConnection: the first, or the peer began anew. Tracks are to be added to this one. */
  peer: [RTCPeerConnection];
  /** The session is over for this reason, and closed; or, with `negotiation_failed`, something went wrong in it. */
  error: [CoupletError];
}
