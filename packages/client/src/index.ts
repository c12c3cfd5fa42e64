// The door of @couplet/client: everything that an application needs.
export {
  type Cancellable,
  Couplet,
  type CoupletOptions,
  type Invite,
} from './couplet.js';
export { CoupletError, type CoupletErrorCode } from './errors.js';
export type { SessionPath } from './path.js';
export type { PeerSession } from './peer-session.js';
export type { SavedSession, SessionEvents, SessionState } from './session-events.js';
