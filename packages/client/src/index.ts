// Exports the public API of @couplet/client.
export {
  type Cancellable,
  Couplet,
  type CoupletOptions,
  type Invite,
  type SessionOptions,
} from './couplet.js';
export {
  CoupletError,
  type CoupletErrorCode,
  type FinalClose,
  type FinalRefusal,
  type LocalErrorCode,
} from './errors.js';
export { type ExchangedKeys, exchangeKeys } from './key-exchange/key-exchange.js';
export { normalizeJoinCode } from './pairing/join-code.js';
export type { Fetch } from './pairing/pairing-client.js';
export type { Data } from './session/outbox.js';
export type { SessionPath } from './session/path.js';
export type { PeerConnectionConstructor } from './session/peer-link.js';
export type { PeerSession } from './session/peer-session.js';
export type {
  CandidateFound,
  KeyMessage,
  SavedSession,
  SessionEvents,
  SessionState,
  SessionTrust,
  SignalingState,
} from './session/session-events.js';
export type { Socket, SocketConstructor } from './signaling/signaling-client.js';
export type { Token } from './token.js';
