// The door of @couplet/client: everything that an application needs.
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
export { normalizeJoinCode } from './join-code.js';
export { type ExchangedKeys, exchangeKeys } from './key-exchange.js';
export type { Data } from './outbox.js';
export type { Fetch } from './pairing-client.js';
export type { SessionPath } from './path.js';
export type { PeerConnectionConstructor } from './peer-link.js';
export type { PeerSession } from './peer-session.js';
export type {
  CandidateFound,
  KeyMessage,
  SavedSession,
  SessionEvents,
  SessionState,
  SignalingState,
} from './session-events.js';
export type { Socket, SocketConstructor } from './signaling-client.js';
