// The door of @couplet/client: everything that an application needs.
export {
  type Cancellable,
  Couplet,
  type CoupletOptions,
  type Invite,
} from './couplet.js';
export { CoupletError, type CoupletErrorCode } from './errors.js';
export type { SessionPath } from './path.js';
export type { PeerSession, SavedSession, SessionEvents, SessionState } from './peer-session.js';
