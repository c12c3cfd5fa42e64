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
  type PushRefusal,
} from './errors.js';
export { safeFileName } from './files/file-name.js';
export type { BlobOptions, IncomingFile } from './files/incoming-file.js';
export { receiveFiles } from './files/receive-files.js';
export { type FileSession, type SendFileOptions, sendFile } from './files/send-file.js';
export { type ExchangedKeys, exchangeKeys } from './key-exchange/key-exchange.js';
export { normalizeJoinCode } from './pairing/join-code.js';
export type { Fetch } from './pairing/pairing-client.js';
export type { Data } from './session/outbox.js';
export type { SessionPath } from './session/path.js';
export type { PeerConnectionConstructor } from './session/peer-link.js';
export type { PeerSession } from './session/peer-session.js';
export { PUBLIC_STUN } from './session/public-stun.js';
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
